//! Routes: the address under which others reach this program, the part of a path that is its own, and the
//! table of what is there.
//!
//! In: the flags `--web.external-url` and `--web.route-prefix`, and the path of a request. Out: the path that
//! a handler knows, or where to go instead. As in Prometheus, the path of the external URL is put before all
//! paths unless a prefix is given, which then is the prefix of all requests: behind a proxy that removes the
//! path, use `--web.route-prefix=/`.
//!
//! Invariant: a prefix is empty, or begins with a slash and does not end with one.

use hyper::{Method, Uri};

use crate::api::{self, Endpoint};

/// What is wrong with a flag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoutesError {
    /// An address that no browser goes to.
    #[error("--web.external-url must be an address such as https://example.org/portent, not {0:?}")]
    ExternalUrl(String),
    /// A prefix that no path has.
    #[error("--web.route-prefix must be a path such as /portent, not {0:?}")]
    RoutePrefix(String),
}

/// Where requests come in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    prefix: String,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// To the handler of this path.
    Own(&'a str),
    /// To another path, for now.
    Elsewhere(String),
    /// To another path, for good.
    Moved(String),
    /// Nowhere.
    Unknown,
}

impl Routes {
    /// By the values of the flags, where they are given.
    ///
    /// # Errors
    /// When one of them is not what it has to be.
    pub fn new(
        external_url: Option<&str>,
        route_prefix: Option<&str>,
    ) -> Result<Self, RoutesError> {
        let path = match external_url {
            Some(text) => {
                let error = || RoutesError::ExternalUrl(text.to_owned());
                let url: hyper::Uri = text.parse().map_err(|_| error())?;
                let is_http = matches!(url.scheme_str(), Some("http" | "https"));
                if !is_http || url.host().is_none_or(str::is_empty) || url.query().is_some() {
                    return Err(error());
                }
                url.path().to_owned()
            }
            None => String::new(),
        };
        let prefix = match route_prefix {
            Some(text) => {
                let is_path = text.parse().is_ok_and(|url: hyper::Uri| url.path() == text);
                if !(is_path || text.is_empty()) {
                    return Err(RoutesError::RoutePrefix(text.to_owned()));
                }
                text
            }
            None => &path,
        };
        let prefix = prefix.trim_matches('/');
        Ok(Self { prefix: if prefix.is_empty() { String::new() } else { format!("/{prefix}") } })
    }

    /// Whether a request is about the program itself.
    pub(super) fn leads_to_vital(&self, method: &Method, uri: &Uri) -> bool {
        let Ok(Some(path)) = api::decode_path(uri.path()) else {
            return false;
        };
        matches!(self.route(&path), Route::Own(path) if is_vital(method, path))
    }

    /// Where a request with this path goes.
    pub(super) fn route<'a>(&self, path: &'a str) -> Route<'a> {
        if self.prefix.is_empty() {
            return Route::Own(path);
        }
        let own = path.strip_prefix(&self.prefix);
        match (path, own) {
            ("/", _) => Route::Elsewhere(format!("{}/", self.prefix)),
            (_, Some("")) => Route::Moved(format!("{}/", self.prefix)),
            (_, Some(own)) if own.starts_with('/') => Route::Own(own),
            _ => Route::Unknown,
        }
    }
}

/// What answers a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Landing,
    Metrics,
    Healthy,
    Ready,
    Reload,
    Write,
    Query(Endpoint),
    /// All silences, or the one of this id.
    Silences(Option<String>),
    /// What actions do, or their switch.
    Actions {
        off: Option<bool>,
    },
}

/// The table: the methods that a path without escapes allows, as Prometheus and Alertmanager have them, and
/// what answers there.
pub(super) fn row(path: &str) -> Option<(&'static [Method], Target)> {
    const GET: &[Method] = &[Method::GET];
    const POST: &[Method] = &[Method::POST];
    const HEAD: &[Method] = &[Method::GET, Method::HEAD];
    const FORM: &[Method] = &[Method::GET, Method::POST];
    Some(match path {
        "/" => (HEAD, Target::Landing),
        "/metrics" => (HEAD, Target::Metrics),
        "/-/healthy" => (HEAD, Target::Healthy),
        "/-/ready" => (HEAD, Target::Ready),
        "/-/reload" => (&[Method::POST, Method::PUT], Target::Reload),
        // The second is where VictoriaMetrics and Mimir take pushes.
        "/api/v1/write" | "/api/v1/push" => (POST, Target::Write),
        "/api/v1/query" => (FORM, Target::Query(Endpoint::Query)),
        "/api/v1/query_range" => (FORM, Target::Query(Endpoint::QueryRange)),
        "/api/v1/query_exemplars" => (FORM, Target::Query(Endpoint::Exemplars)),
        "/api/v1/series" => (FORM, Target::Query(Endpoint::Series)),
        "/api/v1/labels" => (FORM, Target::Query(Endpoint::Labels)),
        "/api/v1/metadata" => (GET, Target::Query(Endpoint::Metadata)),
        "/api/v1/status/buildinfo" => (GET, Target::Query(Endpoint::BuildInfo)),
        "/api/v1/rules" => (GET, Target::Query(Endpoint::Rules)),
        "/api/v1/alerts" => (GET, Target::Query(Endpoint::Alerts)),
        "/api/v1/anomalies" => (FORM, Target::Query(Endpoint::Anomalies)),
        "/api/v1/actions" => (GET, Target::Actions { off: None }),
        "/api/v1/actions/disable" => (POST, Target::Actions { off: Some(true) }),
        "/api/v1/actions/enable" => (POST, Target::Actions { off: Some(false) }),
        "/api/v2/silences" => (FORM, Target::Silences(None)),
        _ => {
            if let Some(name) = step(path, "/api/v1/label/", "/values") {
                (GET, Target::Query(Endpoint::LabelValues(api::unescape(name))))
            } else {
                let id = step(path, "/api/v2/silence/", "")?.to_owned();
                (&[Method::GET, Method::DELETE], Target::Silences(Some(id)))
            }
        }
    })
}

/// What stands between these in a path: as for Prometheus's router, one step of it.
fn step<'a>(path: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let step = path.strip_prefix(before)?.strip_suffix(after)?;
    (!step.is_empty() && !step.contains('/')).then_some(step)
}

/// Whether a request is about the program itself, so that it is answered when others are told to come again.
pub(super) fn is_vital(method: &Method, path: &str) -> bool {
    match *method {
        Method::GET | Method::HEAD => path == "/metrics" || path.starts_with("/-/"),
        // What stops actions is for emergencies.
        Method::POST if path == "/api/v1/actions/disable" => true,
        Method::POST | Method::PUT => path == "/-/reload",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(external_url: Option<&str>, route_prefix: Option<&str>, expected: &str) {
        let routes = Routes::new(external_url, route_prefix).expect("flags as they should be");
        assert_eq!(routes.prefix, expected);
    }

    #[test]
    fn the_prefix_is_the_path_of_the_address_unless_it_is_given() {
        check(None, None, "");
        check(Some("http://example.org"), None, "");
        check(Some("http://example.org/"), None, "");
        check(Some("https://example.org:8443/portent"), None, "/portent");
        check(Some("https://example.org/a/portent/"), None, "/a/portent");
        check(Some("https://example.org/portent/"), Some("/"), "");
        check(Some("https://example.org/portent/"), Some(""), "");
        check(Some("https://example.org/portent/"), Some("/inner/"), "/inner");
        check(None, Some("/portent"), "/portent");
    }

    #[test]
    fn what_is_no_address_or_no_path_is_refused() {
        for text in ["example.org/portent", "/portent", "ftp://example.org", "http://", "", "a b"] {
            let error = Routes::new(Some(text), None).expect_err("no address");
            assert_eq!(error, RoutesError::ExternalUrl(text.to_owned()));
        }
        for text in ["portent", "/a b", "http://example.org/portent", "/a?b"] {
            let error = Routes::new(None, Some(text)).expect_err("no path");
            assert_eq!(error, RoutesError::RoutePrefix(text.to_owned()));
        }
    }

    #[test]
    fn what_comes_with_the_prefix_is_ours() {
        let routes = Routes::new(None, Some("/portent")).expect("a path");
        let moved = || "/portent/".to_owned();
        assert_eq!(routes.route("/portent/-/ready"), Route::Own("/-/ready"));
        assert_eq!(routes.route("/portent/"), Route::Own("/"));
        assert_eq!(routes.route("/portent"), Route::Moved(moved()));
        assert_eq!(routes.route("/"), Route::Elsewhere(moved()));
        assert_eq!(routes.route("/-/ready"), Route::Unknown);
        assert_eq!(routes.route("/portents/-/ready"), Route::Unknown);
        assert_eq!(Routes::default().route("/-/ready"), Route::Own("/-/ready"));
        assert_eq!(Routes::default().route("/"), Route::Own("/"));
    }

    #[test]
    fn what_is_asked_about_the_program_itself_is_vital() {
        let check = |prefix: &str, method: Method, path: &str, expected: bool| {
            let routes = Routes::new(None, Some(prefix)).expect("a path");
            let found = routes.leads_to_vital(&method, &path.parse().expect("a path"));
            assert_eq!(found, expected, "{method} {path} under {prefix:?}");
        };
        for path in ["/metrics", "/metrics?a=b", "/-/healthy", "/%2D/ready"] {
            check("", Method::GET, path, true);
            check("", Method::HEAD, path, true);
            check("", Method::POST, path, false);
        }
        check("", Method::POST, "/-/reload", true);
        check("", Method::PUT, "/-/reload", true);
        check("", Method::POST, "/api/v1/actions/disable", true);
        check("", Method::POST, "/api/v1/actions/enable", false);
        check("", Method::POST, "/api/v1/write", false);
        check("", Method::GET, "/api/v1/query?query=1", false);
        check("", Method::GET, "/", false);
        check("/portent", Method::GET, "/portent/metrics", true);
        check("/portent", Method::GET, "/metrics", false);
        check("/portent", Method::POST, "/portent/-/reload", true);
    }

    #[test]
    fn paths() {
        let check = |path: &str, expected: Option<Target>| {
            assert_eq!(row(path).map(|(_, target)| target), expected, "{path}");
        };
        let query = |endpoint| Some(Target::Query(endpoint));
        check("/api/v1/query", query(Endpoint::Query));
        check("/api/v1/status/buildinfo", query(Endpoint::BuildInfo));
        check("/api/v1/rules", query(Endpoint::Rules));
        check("/api/v1/alerts", query(Endpoint::Alerts));
        let values = |name: &str| query(Endpoint::LabelValues(name.to_owned()));
        check("/api/v1/label/job/values", values("job"));
        check("/api/v1/label/a.b/values", values("a.b"));
        check("/api/v1/label/a%2eb/values", values("a%2eb"));
        check("/api/v1/label/a+b/values", values("a+b"));
        check("/api/v1/label/U__a_2e_b/values", values("a.b"));
        check("/api/v2/silences", Some(Target::Silences(None)));
        check("/api/v2/silence/a-b", Some(Target::Silences(Some("a-b".to_owned()))));
        check("/api/v1/actions", Some(Target::Actions { off: None }));
        check("/api/v1/actions/disable", Some(Target::Actions { off: Some(true) }));
        check("/api/v1/actions/enable", Some(Target::Actions { off: Some(false) }));
        for path in [
            "/api/v1/label/job",
            "/api/v1/label//values",
            "/api/v1/label/a/b/values",
            "/api/v1/parse_query",
            "/api/v1/query/",
            "/query",
            "/api/v2/silence/",
            "/api/v2/silence",
            "/api/v2/silence/a/b",
            "/api/v1/silences",
            "/api/v1/actions/",
            "/api/v1/actionsenable",
            "/api/v1/action",
            "/actions",
        ] {
            check(path, None);
        }
    }
}

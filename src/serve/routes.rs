//! Routes: the address under which others reach this program, and the part of a path that is its own.
//!
//! In: the flags `--web.external-url` and `--web.route-prefix`, and the path of a request. Out: the path that
//! a handler knows, or where to go instead. As in Prometheus, the path of the external URL is put before all
//! paths unless a prefix is given, which then is the prefix of all requests: behind a proxy that removes the
//! path, use `--web.route-prefix=/`.
//!
//! Invariant: a prefix is empty, or begins with a slash and does not end with one.

use hyper::{Method, Uri};

use crate::api;

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
}

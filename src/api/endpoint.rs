//! An endpoint: a path of the API.

use hyper::Method;

use super::escape::unescape;

/// What is asked for by a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `/api/v1/query`.
    Query,
    /// `/api/v1/query_range`.
    QueryRange,
    /// `/api/v1/series`.
    Series,
    /// `/api/v1/labels`.
    Labels,
    /// `/api/v1/label/<name>/values`.
    LabelValues(String),
    /// `/api/v1/metadata`.
    Metadata,
    /// `/api/v1/status/buildinfo`.
    BuildInfo,
    /// `/api/v1/rules`.
    Rules,
    /// `/api/v1/alerts`.
    Alerts,
    /// `/api/v1/anomalies`, Portent's own.
    Anomalies,
    /// `/api/v1/query_exemplars`, which Grafana asks whether there are any.
    Exemplars,
}

impl Endpoint {
    /// The endpoint of a path without escapes, if it is one.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        Some(match path.strip_prefix("/api/v1/")? {
            "query" => Self::Query,
            "query_range" => Self::QueryRange,
            "series" => Self::Series,
            "labels" => Self::Labels,
            "metadata" => Self::Metadata,
            "status/buildinfo" => Self::BuildInfo,
            "rules" => Self::Rules,
            "alerts" => Self::Alerts,
            "anomalies" => Self::Anomalies,
            "query_exemplars" => Self::Exemplars,
            other => {
                let name = other.strip_prefix("label/")?.strip_suffix("/values")?;
                // As for Prometheus's router, a name is one step of the path.
                if name.is_empty() || name.contains('/') {
                    return None;
                }
                Self::LabelValues(unescape(name))
            }
        })
    }

    /// The methods that Prometheus allows here.
    #[must_use]
    pub const fn methods(&self) -> &'static [Method] {
        match self {
            Self::Query
            | Self::QueryRange
            | Self::Series
            | Self::Labels
            | Self::Anomalies
            | Self::Exemplars => &[Method::GET, Method::POST],
            Self::LabelValues(_)
            | Self::Metadata
            | Self::BuildInfo
            | Self::Rules
            | Self::Alerts => &[Method::GET],
        }
    }

    /// The endpoint as a label value.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::QueryRange => "query_range",
            Self::Series => "series",
            Self::Labels => "labels",
            Self::LabelValues(_) => "label_values",
            Self::Metadata => "metadata",
            Self::BuildInfo => "buildinfo",
            Self::Rules => "rules",
            Self::Alerts => "alerts",
            Self::Anomalies => "anomalies",
            Self::Exemplars => "query_exemplars",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<Endpoint>) {
        assert_eq!(Endpoint::of(path), expected, "{path}");
    }

    #[test]
    fn paths() {
        check("/api/v1/query", Some(Endpoint::Query));
        check("/api/v1/status/buildinfo", Some(Endpoint::BuildInfo));
        check("/api/v1/rules", Some(Endpoint::Rules));
        check("/api/v1/alerts", Some(Endpoint::Alerts));
        let values = |name: &str| Some(Endpoint::LabelValues(name.to_owned()));
        check("/api/v1/label/job/values", values("job"));
        check("/api/v1/label/a.b/values", values("a.b"));
        check("/api/v1/label/a%2eb/values", values("a%2eb"));
        check("/api/v1/label/a+b/values", values("a+b"));
        check("/api/v1/label/U__a_2e_b/values", values("a.b"));
        for path in [
            "/api/v1/label/job",
            "/api/v1/label//values",
            "/api/v1/label/a/b/values",
            "/api/v1/parse_query",
            "/api/v1/query/",
            "/query",
        ] {
            check(path, None);
        }
    }
}

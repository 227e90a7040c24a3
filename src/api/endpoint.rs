//! An endpoint: a path of the API.

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
    /// `/api/v1/query_exemplars`.
    Exemplars,
}

impl Endpoint {
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

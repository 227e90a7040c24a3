//! Status: what Portent says about itself, for clients that look before they ask.

use super::json::{Json, TooLong, quoted};
use crate::detect::FEATURE_METRIC;

/// The version of Prometheus whose API and language this is. Grafana reads it to know what may be
/// asked; Portent's own version would tell it that of an ancient Prometheus.
const PROMETHEUS_VERSION: &str = "3.5.0";

/// Which Portent this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// Its version.
    pub version: &'static str,
    /// The commit it was made from.
    pub revision: &'static str,
}

/// The answer to `/api/v1/status/buildinfo`.
pub(super) fn buildinfo(build: Build) -> String {
    let mut json = Json::success(usize::MAX);
    json.raw(&format!(
        r#"{{"version":"{PROMETHEUS_VERSION}","revision":{},"branch":"","buildUser":"","buildDate":"","goVersion":"","application":{}}}"#,
        quoted(build.revision),
        quoted(&format!("Portent {}", build.version)),
    ));
    json.finish(false)
}

/// What is known of a metric.
struct Metadata {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
}

/// Metrics that Portent itself makes for queries. What is pushed comes without metadata.
const METADATA: [Metadata; 1] = [Metadata {
    name: FEATURE_METRIC,
    kind: "gauge",
    help: "The value of a feature as the model saw it.",
}];

/// The answer to `/api/v1/metadata`. A negative limit is none.
pub(super) fn metadata(metric: &str, limit: i64, max_bytes: usize) -> Result<String, TooLong> {
    let found = METADATA.iter().filter(|metadata| metric.is_empty() || metric == metadata.name);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut json = Json::success(max_bytes);
    json.raw("{");
    for (i, metadata) in found.take(limit).enumerate() {
        if i > 0 {
            json.raw(",");
        }
        json.string(metadata.name);
        json.raw(":");
        json.list([metadata], |json, Metadata { kind, help, .. }| {
            json.raw(&format!(r#"{{"type":{},"help":{},"unit":""}}"#, quoted(kind), quoted(help)));
        })?;
    }
    json.raw("}");
    Ok(json.finish(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_of_what_portent_makes() {
        let all = metadata("", -1, 1_000).expect("short");
        assert_eq!(
            all,
            r#"{"status":"success","data":{"portent:feature":[{"type":"gauge","help":"The value of a feature as the model saw it.","unit":""}]}}"#
        );
        assert_eq!(metadata("portent:feature", 1, 1_000), Ok(all));
        let none = r#"{"status":"success","data":{}}"#;
        assert_eq!(metadata("up", -1, 1_000).expect("short"), none);
        assert_eq!(metadata("", 0, 1_000).expect("short"), none);
    }

    #[test]
    fn buildinfo_is_json() {
        let text = buildinfo(Build { version: "0.1.0", revision: "\"" });
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json["data"]["version"], "3.5.0");
        assert_eq!(json["data"]["application"], "Portent 0.1.0");
    }
}

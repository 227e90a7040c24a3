//! Status: what Portent says about itself, for clients that look before they ask.

use super::json::{Json, quoted};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buildinfo_is_json() {
        let text = buildinfo(Build { version: "0.1.0", revision: "\"" });
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json["data"]["version"], "3.5.0");
        assert_eq!(json["data"]["application"], "Portent 0.1.0");
    }
}

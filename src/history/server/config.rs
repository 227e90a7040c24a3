//! The `history` section of the configuration: how a server is asked for history, and how much of
//! it is taken.

use std::path::{Path, PathBuf};

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::bytesize::ByteSize;
use crate::duration::Duration;
use crate::history::error::HistoryError;
use crate::http_client::{self, AddressError, HttpConfig, HttpConfigError};

/// The `history` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistoryConfig {
    /// Credentials, TLS, headers and proxy.
    pub http_config: HttpConfig,
    /// Queries that are asked at one time. Up to so many answers are held at once.
    pub max_concurrency: usize,
    /// How long one answer may take; then the query is asked for fewer steps.
    pub timeout: Duration,
    /// How long a connection may take to be accepted.
    pub connect_timeout: Duration,
    /// Bytes of one answer; what is larger is asked for in fewer steps.
    pub max_response_bytes: ByteSize,
    /// Entities times steps times features.
    pub max_values: usize,
    /// Steps of one query.
    pub max_steps_per_query: usize,
    /// A server whose history serving begins with, where nothing is remembered yet; without credentials,
    /// which belong into `http_config`.
    pub prometheus_url: Option<String>,
    /// How much of that history is asked for at most; 0s for none.
    pub warm_start: Duration,
}

/// A setting with which nothing can be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct HistoryConfigError {
    /// The key's path, from `history` on.
    pub key: String,
    /// What is wrong with it. Never a secret.
    pub reason: String,
}

impl HistoryConfigError {
    fn new(key: &str, reason: impl Into<String>) -> Self {
        Self { key: format!("history.{key}"), reason: reason.into() }
    }
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self {
            http_config: HttpConfig::default(),
            // A fifth of the queries that a Prometheus works on at one time: those of dashboards
            // and rules do not starve, and on one's own machine all cores are busy.
            max_concurrency: 4,
            // Prometheus itself gives up after two minutes; proxies take their time as well.
            timeout: Duration::from_seconds(300),
            // A server that does not accept within this time is taken to be away.
            connect_timeout: Duration::from_seconds(10),
            // A value takes about 30 bytes: a thousand entities with all the steps of a query.
            max_response_bytes: ByteSize::from_mib(512),
            // 4 GiB as float32.
            max_values: 1 << 30,
            // What Prometheus answers at most; its kin have the same limit or a higher one.
            max_steps_per_query: 11_000,
            prometheus_url: None,
            // Windows and smoothing are full after a tenth of it; a daily job is seen once.
            warm_start: Duration::from_seconds(86_400),
        }
    }
}

impl HistoryConfig {
    /// Refuses what nothing can be asked with.
    ///
    /// # Errors
    /// Names the first such key.
    pub fn validate(&self) -> Result<(), HistoryConfigError> {
        let values = [
            ("max_concurrency", self.max_concurrency as u64),
            ("timeout", self.timeout.as_ms() as u64),
            ("connect_timeout", self.connect_timeout.as_ms() as u64),
            ("max_response_bytes", self.max_response_bytes.as_bytes()),
            ("max_values", self.max_values as u64),
            ("max_steps_per_query", self.max_steps_per_query as u64),
        ];
        if let Some((key, _)) = values.iter().find(|(_, value)| *value == 0) {
            return Err(HistoryConfigError::new(key, "must be above 0"));
        }
        let wrong = |HttpConfigError { key, reason }| {
            HistoryConfigError::new(&format!("http_config.{key}"), reason)
        };
        self.http_config.validate().map_err(wrong)?;
        self.prometheus_url.as_deref().map_or(Ok(()), check_url)
    }

    /// The files that it names: certificates, credentials, headers.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.http_config.clone().paths_mut().map(|path| path.clone()).collect()
    }

    /// Takes relative paths from this folder.
    pub fn resolve_paths(&mut self, folder: &Path) {
        for path in self.http_config.paths_mut() {
            *path = folder.join(&*path);
        }
    }
}

/// Refuses what is no address, and one that would show a password wherever the configuration is shown.
fn check_url(text: &str) -> Result<(), HistoryConfigError> {
    let wrong = |reason: String| HistoryConfigError::new("prometheus_url", reason);
    let url = address(text).map_err(|error| wrong(error.to_string()))?;
    match url.username().is_empty() && url.password().is_none() {
        true => Ok(()),
        false => Err(wrong("must be without credentials; they belong into http_config".to_owned())),
    }
}

/// A server's address.
pub(crate) fn address(text: &str) -> Result<Url, HistoryError> {
    let wrong = |AddressError { shown: url, reason }| HistoryError::Url { url, reason };
    http_client::address(text).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(yaml: &str, expected: Option<&str>) {
        let config: HistoryConfig = serde_yaml::from_str(yaml).expect("a section");
        let found = config.validate().err().map(|it| it.to_string());
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn limits_of_nothing_are_named() {
        check("{}", None);
        check("{max_concurrency: 1, timeout: 1s}", None);
        for key in ["max_concurrency", "max_values", "max_steps_per_query"] {
            check(&format!("{key}: 0"), Some(&format!("history.{key}: must be above 0")));
        }
        check("timeout: 0s", Some("history.timeout: must be above 0"));
        check("connect_timeout: 0s", Some("history.connect_timeout: must be above 0"));
        check("max_response_bytes: 0B", Some("history.max_response_bytes: must be above 0"));
        assert!(serde_yaml::from_str::<HistoryConfig>("max_step: 1").is_err());
    }

    #[test]
    fn an_address_is_one_and_shows_no_password() {
        check("{prometheus_url: 'http://localhost:9090/prometheus', warm_start: 0s}", None);
        let secret =
            "history.prometheus_url: must be without credentials; they belong into http_config";
        check("prometheus_url: http://me:hunter2@localhost", Some(secret));
        check("prometheus_url: http://me@localhost", Some(secret));
        let other = "history.prometheus_url: \"localhost:9090\" is not the address of a server (it begins \
                     with neither http:// nor https://); write it as in http://localhost:9090";
        check("prometheus_url: localhost:9090", Some(other));
    }

    #[test]
    fn every_path_is_relative_to_the_file() {
        let mut config: HistoryConfig = serde_yaml::from_str(
            "{http_config: {basic_auth: {username_file: a, password_file: b},
              tls_config: {ca_file: d, cert_file: e, key_file: /f},
              http_headers: {x: {files: [g, h]}}}}",
        )
        .expect("a good section");
        config.resolve_paths(Path::new("/etc"));
        let paths: Vec<_> = config.http_config.paths_mut().map(|it| it.clone()).collect();
        let expected = ["/etc/a", "/etc/b", "/etc/d", "/etc/e", "/f", "/etc/g", "/etc/h"];
        assert_eq!(paths, expected.map(PathBuf::from));
    }
}

//! How to speak to a server, in the words of Prometheus's `http_config`.
//!
//! In: the section of the configuration file. Out: settings that are known to fit together; the
//! secrets among them never show (see [`Secret`]). What cannot be done here (`oauth2`,
//! `server_name`, SOCKS proxies) is no key or refused, so that nobody relies on it in vain.
//!
//! Source: Prometheus documentation "Configuration", `<http_config>`; `common/config/http_config.go`
//! and `headers.go` for what excludes what.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::secret::Secret;

/// Headers that the client or another key decides; Prometheus refuses the same ones.
const RESERVED_HEADERS: [&str; 12] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "user-agent",
    "www-authenticate",
];

/// What contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct HttpConfigError {
    /// The key's path, from inside the section on.
    pub key: String,
    /// What is wrong with it. Never a secret.
    pub reason: String,
}

/// Credentials, TLS, headers and proxy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// A user and a password.
    pub basic_auth: Option<BasicAuth>,
    /// The `Authorization` header otherwise, such as a bearer token.
    pub authorization: Option<Authorization>,
    /// Whom to trust, and who we are.
    pub tls_config: TlsConfig,
    /// Further headers by name, such as Mimir's tenant.
    pub http_headers: BTreeMap<String, HttpHeader>,
    /// Whether to follow redirects (307 and 308: the others lose the query).
    pub follow_redirects: bool,
    /// An HTTP proxy.
    pub proxy_url: Option<ProxyUrl>,
    /// Hosts that are reached without `proxy_url`, separated by commas.
    pub no_proxy: Option<String>,
    /// Whether to use `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`.
    pub proxy_from_environment: bool,
}

/// A user and a password, each written down or in a file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BasicAuth {
    /// The user.
    pub username: Option<String>,
    /// A file with the user.
    pub username_file: Option<PathBuf>,
    /// The password.
    pub password: Option<Secret>,
    /// A file with the password.
    pub password_file: Option<PathBuf>,
}

/// An `Authorization` header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Authorization {
    /// The word before the credentials.
    #[serde(rename = "type")]
    pub kind: String,
    /// The credentials.
    pub credentials: Option<Secret>,
    /// A file with the credentials.
    pub credentials_file: Option<PathBuf>,
}

impl Default for Authorization {
    fn default() -> Self {
        Self { kind: "Bearer".to_owned(), credentials: None, credentials_file: None }
    }
}

/// Whom to trust, and who we are. Files hold PEM.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// The authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our certificate, for servers that ask for one.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// Trusts anybody.
    pub insecure_skip_verify: bool,
}

/// The values of one header; each becomes a header line.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpHeader {
    /// Values that may be seen.
    pub values: Vec<String>,
    /// Values that may not.
    pub secrets: Vec<Secret>,
    /// Files with values.
    pub files: Vec<PathBuf>,
}

/// The address of an HTTP proxy. Its password does not show.
#[derive(Clone, PartialEq)]
pub struct ProxyUrl(Url);

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            basic_auth: None,
            authorization: None,
            tls_config: TlsConfig::default(),
            http_headers: BTreeMap::new(),
            // As in Prometheus, and so for the next one.
            follow_redirects: true,
            proxy_url: None,
            no_proxy: None,
            proxy_from_environment: false,
        }
    }
}

impl HttpConfig {
    /// Refuses what contradicts itself, as Prometheus does.
    ///
    /// # Errors
    /// Names the first such key.
    pub fn validate(&self) -> Result<(), HttpConfigError> {
        let wrong = |key: &str, reason: &str| {
            Err(HttpConfigError { key: key.to_owned(), reason: reason.to_owned() })
        };
        if self.basic_auth.is_some() && self.authorization.is_some() {
            return wrong("authorization", "leave out either this or basic_auth");
        }
        if let Some(basic) = &self.basic_auth {
            if basic.username.is_some() == basic.username_file.is_some() {
                return wrong("basic_auth", "write one of username and username_file");
            }
            if basic.password.is_some() && basic.password_file.is_some() {
                return wrong("basic_auth", "leave out either password or password_file");
            }
        }
        if let Some(authorization) = &self.authorization {
            if authorization.kind.eq_ignore_ascii_case("basic") {
                return wrong("authorization.type", "write basic_auth instead of Basic");
            }
            if authorization.kind.trim().is_empty() {
                return wrong("authorization.type", "must not be empty");
            }
            if authorization.credentials.is_some() == authorization.credentials_file.is_some() {
                let reason = "write one of credentials and credentials_file";
                return wrong("authorization", reason);
            }
        }
        self.tls_config.validate()?;
        if self.proxy_from_environment && self.proxy_url.is_some() {
            return wrong("proxy_from_environment", "leave out either this or proxy_url");
        }
        if self.no_proxy.is_some() && self.proxy_url.is_none() {
            return wrong("no_proxy", "has no effect without proxy_url");
        }
        self.http_headers.iter().try_for_each(|(name, header)| header.validate(name))
    }

    /// All paths of files.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let basic = self.basic_auth.iter_mut();
        let basic = basic.flat_map(|it| [&mut it.username_file, &mut it.password_file]);
        let authorization = self.authorization.iter_mut().map(|it| &mut it.credentials_file);
        let headers = self.http_headers.values_mut().flat_map(|it| &mut it.files);
        let single = basic.chain(authorization).flatten();
        single.chain(self.tls_config.paths_mut()).chain(headers)
    }
}

impl TlsConfig {
    /// Refuses half of a certificate.
    ///
    /// # Errors
    /// Names `tls_config`.
    pub fn validate(&self) -> Result<(), HttpConfigError> {
        if self.cert_file.is_some() != self.key_file.is_some() {
            let reason = "write cert_file and key_file, or neither".to_owned();
            return Err(HttpConfigError { key: "tls_config".to_owned(), reason });
        }
        Ok(())
    }

    /// All paths of files.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.ca_file, &mut self.cert_file, &mut self.key_file].into_iter().flatten()
    }
}

impl HttpHeader {
    fn validate(&self, name: &str) -> Result<(), HttpConfigError> {
        let wrong = |reason: &str| {
            let key = format!("http_headers.{name}");
            Err(HttpConfigError { key, reason: reason.to_owned() })
        };
        if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return wrong("is decided by other keys or by the client");
        }
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            return wrong("is not the name of a header");
        }
        let secrets = self.secrets.iter().map(Secret::reveal);
        let mut values = self.values.iter().map(String::as_str).chain(secrets);
        if !values.all(|value| HeaderValue::from_str(value).is_ok()) {
            return wrong("has a value that no header can have, such as a line break");
        }
        Ok(())
    }
}

impl ProxyUrl {
    /// The address with its password, for the client.
    pub(super) fn reveal(&self) -> Url {
        self.0.clone()
    }

    /// The address as it may be seen.
    fn shown(&self) -> String {
        let mut url = self.0.clone();
        if url.password().is_some() {
            // Fails for addresses without a host, which parsing refused.
            let _ = url.set_password(Some("xxxxx"));
        }
        url.to_string()
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Serialize for ProxyUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
    }
}

impl<'de> Deserialize<'de> for ProxyUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let url = Url::parse(&text).ok();
        url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("write the proxy as http://HOST:PORT"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(yaml: &str) -> Result<HttpConfig, String> {
        let config: HttpConfig = serde_yaml::from_str(yaml).map_err(|error| error.to_string())?;
        config.validate().map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[track_caller]
    fn check_bad(yaml: &str, expected: &str) {
        let error = parsed(yaml).expect_err("a refusal");
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        check_bad(
            "{basic_auth: {username: u}, authorization: {credentials: hunter2}}",
            "authorization: leave out either this or basic_auth",
        );
        check_bad("basic_auth: {password: hunter2}", "one of username and username_file");
        check_bad("basic_auth: {username: u, username_file: f}", "one of username");
        check_bad(
            "basic_auth: {username: u, password: hunter2, password_file: f}",
            "leave out either password or password_file",
        );
        check_bad("authorization: {type: Basic, credentials: hunter2}", "basic_auth instead");
        check_bad("authorization: {type: ' ', credentials: hunter2}", "must not be empty");
        check_bad("authorization: {}", "one of credentials and credentials_file");
        check_bad("tls_config: {cert_file: c}", "cert_file and key_file, or neither");
        check_bad("tls_config: {server_name: c}", "unknown field `server_name`");
        check_bad("bearer_token: hunter2", "unknown field `bearer_token`");
        check_bad("oauth2: {}", "unknown field `oauth2`");
        check_bad("proxy_url: 'socks5://u:hunter2@p:1'", "write the proxy as");
        check_bad("{proxy_from_environment: true, proxy_url: 'http://p:1'}", "leave out either");
        check_bad("no_proxy: localhost", "no effect without proxy_url");
        check_bad("http_headers: {Authorization: {secrets: [hunter2]}}", "decided by other keys");
        check_bad("http_headers: {'a b': {values: [c]}}", "not the name of a header");
        check_bad("http_headers: {a: {secrets: [\"hunter2\\n\"]}}", "such as a line break");
    }

    #[test]
    fn secrets_do_not_show() {
        let config = parsed(
            "{authorization: {credentials: hunter2}, proxy_url: 'http://u:hunter2@p:1',
              http_headers: {X-Scope-OrgID: {values: [team], secrets: [hunter2]}}}",
        );
        let config = config.expect("a good section");
        let printed = serde_yaml::to_string(&config).expect("plain data");
        for text in [printed, format!("{config:?}")] {
            assert!(!text.contains("hunter2") && text.contains("<secret>"), "{text}");
            assert!(text.contains("team") && text.contains("u:xxxxx@p:1"), "{text}");
        }
    }
}

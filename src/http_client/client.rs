//! A client: how HTTP is spoken to one address, as `http_config` says.
//!
//! In: the section, an address. Out: requests with credentials and headers on them. Files with secrets are
//! read once, when it is made. Nothing that it says holds a secret.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, NoProxy, Proxy, RequestBuilder, Response, Url};

use super::config::{Authorization, BasicAuth, HttpConfig, ProxyUrl, TlsConfig};
use super::secret::{MAX_SECRET_BYTES, SHOWN, Secret};
use crate::files::read_whole;

/// Redirects that are followed one after the other, at most: Go's limit, and so Prometheus's.
const MAX_REDIRECTS: usize = 10;

/// Bytes of a file of certificates, at most: those of all authorities that a system trusts are a quarter
/// of a MiB.
const MAX_PEM_BYTES: u64 = 4 << 20;

/// Bytes of a secret that is looked for in answers, at least: shorter ones are in many words, and whoever saw what
/// is missing would know them.
const MIN_HIDDEN_BYTES: usize = 4;

/// Why there is no client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpClientError {
    /// Two kinds of credentials.
    #[error("both the address and http_config hold credentials; leave those in the address out")]
    TwoCredentials,
    /// A file that the configuration names.
    #[error("cannot use {path} (http_config.{key}): {reason}")]
    File {
        /// The key that names it, from inside the section on.
        key: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never what is in it.
        reason: String,
    },
    /// Credentials or certificates that cannot be used.
    #[error("http_config cannot be used: {reason}")]
    Unusable {
        /// What is wrong.
        reason: String,
    },
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpTimeouts {
    /// Until a connection is accepted.
    pub connect: Duration,
    /// From the beginning of a request to the end of its answer.
    pub whole: Duration,
}

/// A client for one address.
pub struct HttpClient {
    client: Client,
    credentials: Credentials,
    headers: HeaderMap,
}

/// Who asks. Those in the address are the client's own business.
enum Credentials {
    None,
    Basic(String, Option<Secret>),
    Header(HeaderValue),
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

impl HttpClient {
    /// Reads the files that the section names; asks nothing yet.
    ///
    /// # Errors
    /// When one of them cannot be used, or address and section both hold credentials.
    pub fn new(
        url: &Url,
        http: &HttpConfig,
        timeouts: HttpTimeouts,
    ) -> Result<Self, HttpClientError> {
        Self::built(url, http, timeouts, |it| it.redirect(redirects(http)))
    }

    /// One for requests that may arrive once and no more, and only there: each has a connection of its own, so
    /// that none is lost with one that the other side has closed meanwhile; none is sent again, and no redirect is
    /// followed whatever the section says.
    ///
    /// # Errors
    /// As [`HttpClient::new`].
    pub fn sending_once(
        url: &Url,
        http: &HttpConfig,
        timeouts: HttpTimeouts,
    ) -> Result<Self, HttpClientError> {
        Self::built(url, http, timeouts, |it| {
            it.redirect(Policy::none()).retry(reqwest::retry::never()).pool_max_idle_per_host(0)
        })
    }

    fn built(
        url: &Url,
        http: &HttpConfig,
        timeouts: HttpTimeouts,
        manners: impl Fn(ClientBuilder) -> ClientBuilder,
    ) -> Result<Self, HttpClientError> {
        let in_address = !url.username().is_empty() || url.password().is_some();
        let credentials = Credentials::new(http)?;
        if in_address && !matches!(credentials, Credentials::None) {
            return Err(HttpClientError::TwoCredentials);
        }
        let headers = headers(http)?;
        Ok(Self { client: client(url, http, timeouts, manners)?, credentials, headers })
    }

    /// A POST with credentials and headers.
    pub fn post(&self, url: Url) -> RequestBuilder {
        self.signed(self.client.post(url))
    }

    /// A GET with credentials and headers.
    pub fn get(&self, url: Url) -> RequestBuilder {
        self.signed(self.client.get(url))
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.headers(self.headers.clone());
        match &self.credentials {
            Credentials::None => request,
            Credentials::Basic(user, password) => {
                request.basic_auth(user, password.as_ref().map(Secret::reveal))
            }
            Credentials::Header(value) => request.header(AUTHORIZATION, value.clone()),
        }
    }

    /// A text of the other side without what is kept secret here, should it have repeated that.
    #[must_use]
    pub fn without_secrets(&self, text: &str) -> String {
        let after_kind = |it: &str| it.split_once(' ').map_or(it, |it| it.1).to_owned();
        let mut secrets = Vec::new();
        match &self.credentials {
            Credentials::None => {}
            Credentials::Basic(user, password) => {
                let password = password.as_ref().map_or("", Secret::reveal);
                secrets.push(STANDARD.encode(format!("{user}:{password}")));
                secrets.push(password.to_owned());
            }
            Credentials::Header(value) => secrets.extend(value.to_str().ok().map(after_kind)),
        }
        let hidden = self.headers.values().filter(|it| it.is_sensitive());
        secrets.extend(hidden.filter_map(|it| it.to_str().ok()).map(str::to_owned));
        secrets.retain(|it| it.len() >= MIN_HIDDEN_BYTES);
        secrets.iter().fold(text.to_owned(), |text, it| text.replace(it, SHOWN))
    }

    /// Tells what makes one who asks another than the next, secrets included: names and values, in an order
    /// that does not change.
    ///
    /// # Errors
    /// When the file of a certificate cannot be read.
    pub fn identify(
        &self,
        url: &Url,
        http: &HttpConfig,
        mut tell: impl FnMut(&str, &[u8]),
    ) -> Result<(), HttpClientError> {
        let mut user = |name: &str, password: Option<&str>| {
            tell("user", name.as_bytes());
            password.into_iter().for_each(|it| tell("password", it.as_bytes()));
        };
        match &self.credentials {
            Credentials::None if url.username().is_empty() && url.password().is_none() => {}
            Credentials::None => user(url.username(), url.password()),
            Credentials::Basic(name, password) => user(name, password.as_ref().map(Secret::reveal)),
            Credentials::Header(value) => tell("authorization", value.as_bytes()),
        }
        for (name, value) in &self.headers {
            tell(name.as_str(), value.as_bytes());
        }
        if let Some(path) = &http.tls_config.cert_file {
            tell("cert_file", &file("tls_config.cert_file", path, MAX_PEM_BYTES)?);
        }
        if let Some(proxy) = http.proxy_url.as_ref().map(ProxyUrl::reveal)
            && (!proxy.username().is_empty() || proxy.password().is_some())
        {
            tell("proxy user", proxy.username().as_bytes());
            tell("proxy password", proxy.password().unwrap_or_default().as_bytes());
        }
        Ok(())
    }
}

/// What the innermost cause of an error says, which is the system's or the other side's own words.
#[must_use]
pub fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The beginning of an answer's body, and whether there is more. What is no UTF-8 is replaced; what does not
/// arrive is not waited for beyond the request's own time.
pub async fn answer_text(mut response: Response, max_bytes: usize) -> (String, bool) {
    let (mut body, mut is_cut) = (Vec::new(), false);
    while let Ok(Some(piece)) = response.chunk().await {
        let room = max_bytes - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            is_cut = true;
            break;
        }
    }
    (String::from_utf8_lossy(&body).into_owned(), is_cut)
}

impl Credentials {
    fn new(http: &HttpConfig) -> Result<Self, HttpClientError> {
        if let Some(BasicAuth { username, username_file, password, password_file }) =
            &http.basic_auth
        {
            let from_file = username_file.as_deref();
            let from_file = from_file.map(|path| secret_file("basic_auth.username_file", path));
            let user = from_file.transpose()?.map(|it| it.reveal().to_owned());
            let from_file = password_file.as_deref();
            let from_file = from_file.map(|path| secret_file("basic_auth.password_file", path));
            let password = from_file.transpose()?.or_else(|| password.clone());
            let user = user.or_else(|| username.clone()).unwrap_or_default();
            return Ok(Self::Basic(user, password));
        }
        let Some(Authorization { kind, credentials, credentials_file }) = &http.authorization
        else {
            return Ok(Self::None);
        };
        let from_file = credentials_file.as_deref();
        let from_file = from_file.map(|path| secret_file("authorization.credentials_file", path));
        let credentials = from_file.transpose()?.or_else(|| credentials.clone());
        let credentials = credentials.unwrap_or_default();
        let value = HeaderValue::from_str(&format!("{kind} {}", credentials.reveal()));
        let mut value = value.map_err(|_| HttpClientError::Unusable {
            reason: "authorization holds what no header can hold, such as a line break".to_owned(),
        })?;
        value.set_sensitive(true);
        Ok(Self::Header(value))
    }
}

fn client(
    url: &Url,
    http: &HttpConfig,
    timeouts: HttpTimeouts,
    manners: impl Fn(ClientBuilder) -> ClientBuilder,
) -> Result<Client, HttpClientError> {
    let unusable = |error: reqwest::Error| HttpClientError::Unusable { reason: innermost(&error) };
    // Fails when the program has chosen a provider already, which is just as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || -> Result<ClientBuilder, HttpClientError> {
        let builder = Client::builder().connect_timeout(timeouts.connect).timeout(timeouts.whole);
        let builder = manners(builder);
        proxied(trusting(builder, &http.tls_config)?, http).map_err(unusable)
    };
    match builder()?.build() {
        Ok(client) => Ok(client),
        // A machine without any authority's certificate can still speak without TLS.
        Err(_) if url.scheme() == "http" && http.tls_config == TlsConfig::default() => {
            builder()?.tls_certs_only([]).build().map_err(unusable)
        }
        Err(error) => Err(unusable(error)),
    }
}

/// Follows where the request's body is sent along: the other statuses make a GET without it.
fn redirects(http: &HttpConfig) -> Policy {
    if !http.follow_redirects {
        return Policy::none();
    }
    let has_secret_headers =
        http.http_headers.values().any(|it| !it.secrets.is_empty() || !it.files.is_empty());
    Policy::custom(move |attempt| {
        let keeps_body = matches!(attempt.status().as_u16(), 307 | 308);
        // The client takes credentials off for another host, but not headers it does not know.
        let first = attempt.previous().first();
        let same = first.is_some_and(|it| it.origin() == attempt.url().origin());
        if keeps_body && attempt.previous().len() <= MAX_REDIRECTS && (same || !has_secret_headers)
        {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

fn trusting(mut builder: ClientBuilder, tls: &TlsConfig) -> Result<ClientBuilder, HttpClientError> {
    if let Some(path) = &tls.ca_file {
        let pem = file("tls_config.ca_file", path, MAX_PEM_BYTES)?;
        let certificates = Certificate::from_pem_bundle(&pem).ok().filter(|it| !it.is_empty());
        let certificates = certificates
            .ok_or_else(|| unusable_file("tls_config.ca_file", path, "it holds no certificate"))?;
        builder = builder.tls_certs_only(certificates);
    }
    if let (Some(certificate), Some(key)) = (&tls.cert_file, &tls.key_file) {
        let mut pem = file("tls_config.cert_file", certificate, MAX_PEM_BYTES)?;
        pem.push(b'\n');
        pem.extend(file("tls_config.key_file", key, MAX_PEM_BYTES)?);
        let identity = reqwest::Identity::from_pem(&pem).map_err(|_| {
            let reason = "it and key_file do not hold a certificate and its key in PEM";
            unusable_file("tls_config.cert_file", certificate, reason)
        })?;
        builder = builder.identity(identity);
    }
    if tls.insecure_skip_verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    Ok(builder)
}

fn proxied(builder: ClientBuilder, http: &HttpConfig) -> reqwest::Result<ClientBuilder> {
    match &http.proxy_url {
        Some(proxy) => {
            let except = http.no_proxy.as_deref().and_then(NoProxy::from_string);
            Ok(builder.proxy(Proxy::all(proxy.reveal())?.no_proxy(except)))
        }
        None if http.proxy_from_environment => Ok(builder),
        None => Ok(builder.no_proxy()),
    }
}

fn headers(http: &HttpConfig) -> Result<HeaderMap, HttpClientError> {
    let mut headers = HeaderMap::new();
    for (name, header) in &http.http_headers {
        let key = format!("http_headers.{name}");
        let refused = || HttpClientError::Unusable { reason: format!("{key} cannot be a header") };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        let mut add = |text: &str, is_secret: bool| -> Result<(), HttpClientError> {
            let mut value = HeaderValue::from_str(text).map_err(|_| refused())?;
            value.set_sensitive(is_secret);
            headers.append(name.clone(), value);
            Ok(())
        };
        header.values.iter().try_for_each(|it| add(it, false))?;
        header.secrets.iter().try_for_each(|it| add(it.reveal(), true))?;
        for path in &header.files {
            add(secret_file(&key, path)?.reveal(), true)?;
        }
    }
    Ok(headers)
}

/// A file's text without the line break at its end, as Prometheus takes it.
fn secret_file(key: &str, path: &Path) -> Result<Secret, HttpClientError> {
    let text = String::from_utf8(file(key, path, MAX_SECRET_BYTES)?);
    let text = text.map_err(|_| unusable_file(key, path, "it is not text"))?;
    Ok(Secret::new(text.trim()))
}

fn file(key: &str, path: &Path, limit: u64) -> Result<Vec<u8>, HttpClientError> {
    read_whole(path, limit).map_err(|error| unusable_file(key, path, &error.to_string()))
}

fn unusable_file(key: &str, path: &Path, reason: &str) -> HttpClientError {
    HttpClientError::File {
        key: key.to_owned(),
        path: PathBuf::from(path),
        reason: reason.to_owned(),
    }
}

//! A server: one address, how to speak to it, and one query at a time.
//!
//! In: an address, the `history` section. Out: the body of each successful answer, or the reason
//! why there is none. Files with secrets are read once, when it is made. Nothing that it says
//! holds a secret.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{
    Certificate, Client, ClientBuilder, NoProxy, Proxy, RequestBuilder, StatusCode, Url,
};

use crate::files::read_whole;

use super::config::HistoryConfig;
use super::error::HistoryError;
use super::http_config::{Authorization, BasicAuth, HttpConfig, ProxyUrl, TlsConfig};
use super::identity::Identity;
use super::reason::Reason;
use super::secret::Secret;

/// Redirects that are followed one after the other, at most: Go's limit, and so Prometheus's.
const MAX_REDIRECTS: usize = 10;

/// Bytes of a file with a user, a password, a token or the value of a header, at most: no server takes a
/// header as large.
const MAX_SECRET_BYTES: u64 = 64 << 10;

/// Bytes of a file of certificates, at most: those of all authorities that a system trusts are a quarter
/// of a MiB.
const MAX_PEM_BYTES: u64 = 4 << 20;

/// What one query asks: an expression at `count` steps from a start on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub expr: &'a str,
    pub start_ms: i64,
    pub step_ms: i64,
    pub count: usize,
}

impl Ask<'_> {
    /// The last of its steps.
    pub fn last_ms(&self) -> i64 {
        self.start_ms + (self.count as i64 - 1) * self.step_ms
    }
}

/// One address and how to speak to it.
pub(super) struct Server {
    client: Client,
    url: Url,
    credentials: Credentials,
    headers: HeaderMap,
    max_response_bytes: usize,
    /// The address without credentials, for messages.
    pub shown: String,
    /// What decides an answer besides the query.
    pub identity: Identity,
    is_known: AtomicBool,
}

/// Who asks. Those in the address are the client's own business.
enum Credentials {
    None,
    Basic(String, Option<Secret>),
    Header(HeaderValue),
}

impl Server {
    /// Reads the files that the configuration names; asks nothing yet.
    pub fn new(text: &str, config: &HistoryConfig) -> Result<Self, HistoryError> {
        let mut url = address(text)?;
        let mut shown = url.clone();
        // These fail for addresses that cannot have credentials, and those have none to hide.
        let _ = shown.set_username("").and_then(|()| shown.set_password(None));
        let shown = shown.to_string().trim_end_matches('/').to_owned();
        let http = &config.http_config;
        let in_address = !url.username().is_empty() || url.password().is_some();
        let credentials = Credentials::new(http)?;
        if in_address && !matches!(credentials, Credentials::None) {
            return Err(HistoryError::TwoCredentials);
        }
        let headers = headers(http)?;
        let identity = identity(&shown, &url, &credentials, &headers, http)?;
        let client = client(&url, config)?;
        url.set_path(&format!("{}/api/v1/query_range", url.path().trim_end_matches('/')));
        Ok(Self {
            client,
            url,
            credentials,
            headers,
            max_response_bytes: config.max_response_bytes.as_len(),
            shown,
            identity,
            is_known: AtomicBool::new(false),
        })
    }

    /// Whether it has ever answered, whatever it said.
    pub fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }

    /// One query. Gives the body of a successful answer. It may travel compressed, and is looked at piece
    /// by piece as it unfolds, so that a small one that unfolds to a very large one ends at the limit.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Vec<u8>, Reason> {
        let mut response = self.request(ask).send().await.map_err(Reason::from_transport)?;
        self.is_known.store(true, Ordering::Relaxed);
        let status = response.status();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(Reason::from_transport)? {
            if body.len() + piece.len() > self.max_response_bytes {
                return Err(Reason::TooLarge);
            }
            body.extend_from_slice(&piece);
        }
        match status {
            StatusCode::OK => Ok(body),
            status => Err(Reason::from_answer(status, response.headers(), &body)),
        }
    }

    fn request(&self, ask: Ask<'_>) -> RequestBuilder {
        // As a form: long expressions do not fit into an address.
        let form = [
            ("query", ask.expr),
            ("start", &seconds(ask.start_ms)),
            ("end", &seconds(ask.last_ms())),
            ("step", &seconds(ask.step_ms)),
            // VictoriaMetrics moves start and end to where its cache has them, unless it may not
            // use it. The others do not know this one.
            ("nocache", "1"),
            // Rather an error than an answer without the series of a store that is away: the words for
            // that of Thanos and of VictoriaMetrics.
            ("partial_response", "false"),
            ("deny_partial_response", "1"),
        ];
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).form(&form);
        match &self.credentials {
            Credentials::None => request,
            Credentials::Basic(user, password) => {
                request.basic_auth(user, password.as_ref().map(Secret::reveal))
            }
            Credentials::Header(value) => request.header(AUTHORIZATION, value.clone()),
        }
    }
}

impl Credentials {
    fn new(http: &HttpConfig) -> Result<Self, HistoryError> {
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
        let mut value = value.map_err(|_| HistoryError::Client {
            reason: "authorization holds what no header can hold, such as a line break".to_owned(),
        })?;
        value.set_sensitive(true);
        Ok(Self::Header(value))
    }
}

pub(super) fn address(text: &str) -> Result<Url, HistoryError> {
    // What is before an @ may be a password, however wrong the rest is.
    let shown = text.rsplit('@').next().unwrap_or_default().to_owned();
    let wrong = |reason: String| HistoryError::Url { url: shown, reason };
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        Ok(_) => Err(wrong("it begins with neither http:// nor https://".to_owned())),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// Whom this asks, and as whom: with other credentials a server may tell another tenant's history.
fn identity(
    shown: &str,
    url: &Url,
    credentials: &Credentials,
    headers: &HeaderMap,
    http: &HttpConfig,
) -> Result<Identity, HistoryError> {
    let mut identity = Identity::new(shown);
    let mut user = |name: &str, password: Option<&str>| {
        identity.add("user", name.as_bytes());
        password.into_iter().for_each(|it| identity.add("password", it.as_bytes()));
    };
    match credentials {
        Credentials::None if url.username().is_empty() && url.password().is_none() => {}
        Credentials::None => user(url.username(), url.password()),
        Credentials::Basic(name, password) => user(name, password.as_ref().map(Secret::reveal)),
        Credentials::Header(value) => identity.add("authorization", value.as_bytes()),
    }
    for (name, value) in headers {
        identity.add(name.as_str(), value.as_bytes());
    }
    if let Some(path) = &http.tls_config.cert_file {
        identity.add("cert_file", &file("tls_config.cert_file", path, MAX_PEM_BYTES)?);
    }
    if let Some(proxy) = http.proxy_url.as_ref().map(ProxyUrl::reveal)
        && (!proxy.username().is_empty() || proxy.password().is_some())
    {
        identity.add("proxy user", proxy.username().as_bytes());
        identity.add("proxy password", proxy.password().unwrap_or_default().as_bytes());
    }
    Ok(identity)
}

/// Milliseconds as servers take them.
fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000))
}

fn client(url: &Url, config: &HistoryConfig) -> Result<Client, HistoryError> {
    let http = &config.http_config;
    let unusable = |error: reqwest::Error| {
        let mut reason = error.to_string();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            reason = source.to_string();
            cause = source;
        }
        HistoryError::Client { reason }
    };
    // Fails when the program has chosen a provider already, which is just as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let hidden =
        http.http_headers.values().any(|it| !it.secrets.is_empty() || !it.files.is_empty());
    let builder = || -> Result<ClientBuilder, HistoryError> {
        let builder = Client::builder()
            .connect_timeout(config.connect_timeout.to_std())
            .timeout(config.timeout.to_std())
            .redirect(redirects(http.follow_redirects, hidden));
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

/// Follows where the query is sent along: the other statuses make a GET without it.
fn redirects(follow: bool, has_secret_headers: bool) -> Policy {
    if !follow {
        return Policy::none();
    }
    Policy::custom(move |attempt| {
        let keeps_query = matches!(attempt.status().as_u16(), 307 | 308);
        // The client takes credentials off for another host, but not headers it does not know.
        let first = attempt.previous().first();
        let same = first.is_some_and(|it| it.origin() == attempt.url().origin());
        if keeps_query && attempt.previous().len() <= MAX_REDIRECTS && (same || !has_secret_headers)
        {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

fn trusting(mut builder: ClientBuilder, tls: &TlsConfig) -> Result<ClientBuilder, HistoryError> {
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

fn headers(http: &HttpConfig) -> Result<HeaderMap, HistoryError> {
    let mut headers = HeaderMap::new();
    for (name, header) in &http.http_headers {
        let key = format!("http_headers.{name}");
        let refused = || HistoryError::Client { reason: format!("{key} cannot be a header") };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        let mut add = |text: &str, is_secret: bool| -> Result<(), HistoryError> {
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
fn secret_file(key: &str, path: &Path) -> Result<Secret, HistoryError> {
    let text = String::from_utf8(file(key, path, MAX_SECRET_BYTES)?);
    let text = text.map_err(|_| unusable_file(key, path, "it is no text"))?;
    Ok(Secret::new(text.trim()))
}

fn file(key: &str, path: &Path, limit: u64) -> Result<Vec<u8>, HistoryError> {
    read_whole(path, limit).map_err(|error| unusable_file(key, path, &error.to_string()))
}

fn unusable_file(key: &str, path: &Path, reason: &str) -> HistoryError {
    HistoryError::File {
        key: format!("history.http_config.{key}"),
        path: PathBuf::from(path),
        reason: reason.to_owned(),
    }
}

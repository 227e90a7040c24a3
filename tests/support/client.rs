//! Plain HTTP for tests.

use std::time::Duration;

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

/// A client. It never keeps a connection: servers of a test come and go.
pub fn http_client() -> reqwest::Client {
    // reqwest is built without a provider of its own; a second installation is no error for a test.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(0)
        .no_proxy()
        .build()
        .expect("a client without files to read can be built")
}

/// Reads an answer to its end.
pub async fn reply(request: reqwest::RequestBuilder) -> Result<Reply, String> {
    let response = request.send().await.map_err(|error| chain(&error))?;
    let status = response.status().as_u16();
    let body = response.text().await.map_err(|error| chain(&error))?;
    Ok(Reply { status, body })
}

/// GET of a whole URL.
pub async fn get(url: &str) -> Result<Reply, String> {
    reply(http_client().get(url)).await
}

/// POST of nothing to a whole URL.
pub async fn post(url: &str) -> Result<Reply, String> {
    reply(http_client().post(url)).await
}

/// An error with its causes: reqwest's own text leaves them out.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

//! An HTTP client: how to speak to a server, in the words of Prometheus's `http_config`.
//!
//! In: the section of the configuration, an address. Out: a client whose requests have credentials, headers
//! and TLS as configured. Secrets are used and never shown. It does not know what is asked.

mod client;
mod config;
mod secret;
mod signing;

pub use client::{
    AddressError, HttpClient, HttpClientError, HttpTimeouts, address, answer_text, innermost,
    open_address, shown,
};
pub use config::{
    Authorization, BasicAuth, HttpConfig, HttpConfigError, HttpHeader, ProxyUrl, TlsConfig,
};
pub use secret::{Secret, SecretFileError};
pub use signing::{WebhookSigner, webhook_headers, webhook_id};

//! An HTTP client: how to speak to a server, in the words of Prometheus's `http_config`.
//!
//! In: the section of the configuration, an address. Out: a client whose requests have credentials, headers
//! and TLS as configured. Secrets are used and never shown. It does not know what is asked.

mod address;
mod client;
mod config;
mod secret;
mod signing;

pub use address::{AddressError, address, open_address, shown};
pub use client::{HttpClient, HttpClientError, HttpTimeouts, answer_text, innermost};
pub use config::{
    Authorization, BasicAuth, HttpConfig, HttpConfigError, HttpHeader, ProxyUrl, TlsConfig,
};
pub use secret::{Secret, SecretFileError};
pub use signing::{WebhookSigner, webhook_headers, webhook_id};

//! Signing: the headers by which who gets a webhook knows that it is ours, of now, and whether it was there before.
//!
//! In: an id, the time, a body, and a secret if there is one. Out: `webhook-id`, `webhook-timestamp` (seconds)
//! and, with a secret, `webhook-signature`: `v1,` and the HMAC-SHA256 in base64 of all three. Who checks it takes
//! the time into account, so that nobody can play a request again.
//!
//! Source: [Standard Webhooks](https://www.standardwebhooks.com), its specification.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use ring::{digest, hmac};

use super::secret::Secret;

/// Bytes of a digest that an id has: two of them are never the same by chance.
const ID_BYTES: usize = 16;

/// What signs.
#[derive(Debug, Clone)]
pub struct WebhookSigner(hmac::Key);

impl WebhookSigner {
    /// By a secret: a text, or bytes in the form that makers of such secrets give them (`whsec_` and base64).
    ///
    /// # Errors
    /// What is wrong with it; never what it is.
    pub fn new(secret: &Secret) -> Result<Self, &'static str> {
        let bytes = match secret.reveal().strip_prefix("whsec_") {
            Some(encoded) => STANDARD
                .decode(encoded)
                .map_err(|_| "secret begins with whsec_, but what follows is not base64")?,
            None => secret.reveal().as_bytes().to_vec(),
        };
        match bytes.is_empty() {
            true => Err("secret must not be empty"),
            false => Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes))),
        }
    }
}

/// An id that is the same for the same text in every process, and another for another one.
#[must_use]
pub fn webhook_id(of: &str) -> String {
    let digest = digest::digest(&digest::SHA256, of.as_bytes());
    digest.as_ref()[..ID_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The headers of a body.
#[must_use]
pub fn webhook_headers(
    signer: Option<&WebhookSigner>,
    id: &str,
    now_ms: i64,
    body: &str,
) -> HeaderMap {
    let seconds = now_ms.div_euclid(1000).to_string();
    let signature = signer.map(|WebhookSigner(key)| {
        let tag = hmac::sign(key, format!("{id}.{seconds}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(tag))
    });
    let all = [
        ("webhook-id", Some(id.to_owned())),
        ("webhook-timestamp", Some(seconds)),
        ("webhook-signature", signature),
    ];
    let header = |(name, value): (&'static str, Option<String>)| {
        Some((HeaderName::from_static(name), HeaderValue::try_from(value?).ok()?))
    };
    all.into_iter().filter_map(header).collect()
}

//! A hook: an action that is a request to a webhook instead of a command.
//!
//! In: what there is to say of an attempt. Out: one POST, and what became of it. It is sent once: whoever does not
//! answer in time, or not with 2xx, is not asked again, and no redirect is followed. The body is JSON, signed as
//! [Standard Webhooks](https://www.standardwebhooks.com) has it:
//!
//! | key | what it is |
//! |---|---|
//! | `version` | `"1"` |
//! | `action` | the action's name |
//! | `attempt` | this attempt: the header `webhook-id`, and `attempt` in `/api/v1/actions` and `actions.log` |
//! | `alert`, `model`, `entity` | the alert's rule, the model, and the labels of the host by name |
//! | `startsAt` | when the alert fired, RFC 3339 |
//! | `labels`, `annotations` | those of the alert, by name |
//! | `score`, `threshold` | the score, and what it has to be above |
//! | `features` | `name`, `actual`, `expected` and `share` of the error of those with the largest shares |
//!
//! Secrets, and what http_config holds, are in nothing that is said of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde::Serialize;

use super::attempt::AttemptKey;
use super::config::{ActionConfig, ActionHookConfig};
use super::run::GRACE;
use crate::detect::alert::{ActiveAlert, Details};
use crate::http_client::{
    HttpClient, HttpClientError, HttpTimeouts, Secret, SecretFileError, WebhookSigner, answer_text,
    innermost, open_address, webhook_headers, webhook_id,
};
use crate::timestamp::format_ms;

/// Changes when a key of the body means something else; new keys do not change it.
const VERSION: &str = "1";

/// Why a webhook cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum ActionHookError {
    /// Credentials, certificates or headers.
    #[error("actions: {action:?}: {source}")]
    Client {
        /// The action.
        action: String,
        /// Why.
        #[source]
        source: HttpClientError,
    },
    /// A file with a secret.
    #[error("actions: {action:?}: {source}")]
    File {
        /// The action.
        action: String,
        /// Why.
        #[source]
        source: SecretFileError,
    },
    /// An address or a secret that cannot be used.
    #[error("actions: {action:?}: {reason}")]
    Unusable {
        /// The action.
        action: String,
        /// What is wrong; never a secret.
        reason: String,
    },
}

/// A webhook that can be called.
#[derive(Debug)]
pub(super) struct ActionHook {
    client: HttpClient,
    url: Url,
    signer: Option<WebhookSigner>,
    max_output_bytes: usize,
}

/// One call of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HookCall {
    /// The attempt.
    pub attempt: String,
    /// What is sent.
    pub body: String,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HookEnding {
    /// It was answered, with this status.
    Answered(u16),
    /// There was no answer in time: it may have arrived.
    TimedOut,
    /// Portent ended before there was one.
    Interrupted,
    /// Nobody could be reached.
    NotSent(String),
    /// It broke off: it may have arrived.
    Broken(String),
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HookResult {
    pub ending: HookEnding,
    /// The beginning of what was answered.
    pub answer: String,
    /// Whether there is more.
    pub is_cut: bool,
    pub took: Duration,
}

#[derive(Serialize)]
struct Body<'a> {
    version: &'static str,
    action: &'a str,
    attempt: &'a str,
    alert: &'a str,
    model: &'a str,
    entity: BTreeMap<&'a str, &'a str>,
    #[serde(rename = "startsAt")]
    starts_at: String,
    labels: BTreeMap<&'a str, &'a str>,
    annotations: BTreeMap<&'a str, String>,
    #[serde(flatten)]
    details: Details,
}

impl ActionHook {
    /// The webhook of an action, if it is one. Reads the files that are named; asks nobody.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn read(config: &ActionConfig) -> Result<Option<Self>, ActionHookError> {
        let Some(hook) = &config.webhook else { return Ok(None) };
        let action = || config.name.clone();
        let unusable = |reason: String| ActionHookError::Unusable { action: action(), reason };
        let ActionHookConfig { url, secret, secret_file, http_config } = hook;
        let url = open_address(url).map_err(unusable)?;
        let secret = Secret::read(secret, secret_file)
            .map_err(|source| ActionHookError::File { action: action(), source })?;
        let signer = secret.as_ref().map(WebhookSigner::new).transpose();
        let signer = signer.map_err(|reason| unusable(reason.to_owned()))?;
        let timeout = config.timeout.to_std();
        let timeouts = HttpTimeouts { connect: timeout, whole: timeout };
        let client = HttpClient::sending_once(&url, http_config, timeouts)
            .map_err(|source| ActionHookError::Client { action: action(), source })?;
        Ok(Some(Self { client, url, signer, max_output_bytes: config.max_output_bytes.as_len() }))
    }

    /// Its address, which may be seen.
    pub fn url(&self) -> String {
        self.url.to_string()
    }

    /// Calls it; when `stop` is, it is waited for as long as a command.
    pub async fn call(
        &self,
        now_ms: i64,
        call: &HookCall,
        stop: impl Future<Output = ()>,
    ) -> HookResult {
        let begun = Instant::now();
        let stopped = async {
            stop.await;
            tokio::time::sleep(GRACE).await;
        };
        let (ending, answer, is_cut) = tokio::select! {
            answered = self.answered(now_ms, call) => answered,
            () = stopped => (HookEnding::Interrupted, String::new(), false),
        };
        HookResult { ending, answer, is_cut, took: begun.elapsed() }
    }

    async fn answered(&self, now_ms: i64, call: &HookCall) -> (HookEnding, String, bool) {
        let headers = webhook_headers(self.signer.as_ref(), &call.attempt, now_ms, &call.body);
        let request = self.client.post(self.url.clone()).headers(headers);
        let request = request.header(CONTENT_TYPE, "application/json").body(call.body.clone());
        match request.send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                let (answer, is_cut) = answer_text(response, self.max_output_bytes).await;
                (HookEnding::Answered(status), self.client.without_secrets(&answer), is_cut)
            }
            Err(error) => {
                let (is_timeout, is_connect) = (error.is_timeout(), error.is_connect());
                let reason = innermost(&error.without_url());
                let ending = match (is_timeout, is_connect) {
                    (true, _) => HookEnding::TimedOut,
                    (false, true) => HookEnding::NotSent(reason),
                    (false, false) => HookEnding::Broken(reason),
                };
                (ending, String::new(), false)
            }
        }
    }
}

impl HookCall {
    /// What there is to say of an attempt.
    ///
    /// # Panics
    /// Never: it is plain data.
    pub fn new(key: &AttemptKey, fired_ms: i64, alert: &ActiveAlert) -> Self {
        let attempt = attempt_id(key, fired_ms);
        let body = Body {
            version: VERSION,
            action: &key.action,
            attempt: &attempt,
            alert: &key.rule,
            model: &key.model,
            entity: key.entity.iter().collect(),
            starts_at: format_ms(fired_ms),
            labels: alert.labels.iter().collect(),
            annotations: alert.annotations().into_iter().collect(),
            details: Details::new(alert),
        };
        let body = serde_json::to_string(&body).expect("plain data");
        Self { attempt, body }
    }
}

/// A name of an attempt, the same in every process: an action acts on a firing once.
fn attempt_id(key: &AttemptKey, fired_ms: i64) -> String {
    let AttemptKey { action, rule, model, entity } = key;
    webhook_id(&format!("{action:?} {rule:?} {model:?} {entity} {fired_ms}"))
}

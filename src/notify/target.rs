//! A target: one of what is configured of a receiver, and how it is told.
//!
//! In: notices. Out: one request or e-mail, and what became of it. Who says 2xx has been told; who says 4xx (but 408,
//! 425 and 429) did not understand; with all others it is worth trying again soon. Secrets and the addresses
//! that hold them are in no error.
//!
//! | integration | request |
//! |---|---|
//! | `alertmanager` | `POST /api/v2/alerts` |
//! | `webhook` | the body that an Alertmanager posts to its webhooks (version 4), and in each alert `portent`: `score`, `threshold`, `features`; signed as [Standard Webhooks](https://www.standardwebhooks.com) has it |
//! | `telegram` | `sendMessage` of the Bot API, plain text |
//! | `slack` | `{"text": ..}` to an incoming webhook |
//! | `email` | a message by SMTP, see [`email`](super::email) |
//!
//! Source: Alertmanager `api/v2/openapi.yaml`, its documentation "Webhook config"; Telegram "Bot API";
//! Slack "Sending messages using incoming webhooks".

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde_json::{Value, json};

use super::config::{NotifyConfig, ReceiverConfig};
use super::email::Mailer;
use super::error::{Failure, NotifyError};
use super::ledger::Style;
use super::notice::{Notice, content_id, text, webhook};
use crate::http_client::{
    self, HttpClient, HttpTimeouts, Secret, SecretFileError, WebhookSigner, answer_text, innermost,
    webhook_headers,
};
use crate::labels::Labels;
use crate::matcher::Selector;

/// Bytes of an answer that are read: a reason is short.
const ANSWER_BYTES: usize = 2 << 10;

/// Telegram takes 4,096 characters.
const TELEGRAM_BYTES: usize = 4_000;

/// Slack cuts what is longer than 40,000 characters; nobody reads as many.
const SLACK_BYTES: usize = 12_000;

/// The longest wait that a receiver may ask for.
const MAX_WAIT: Duration = Duration::from_secs(600);

/// One of what is configured of a receiver.
#[derive(Debug)]
pub struct Target {
    /// The receiver.
    pub receiver: String,
    /// What kind of thing is told.
    pub integration: &'static str,
    /// Which of those of its kind.
    pub index: usize,
    send_resolved: bool,
    selector: Arc<Selector>,
    way: Way,
}

/// How it is told.
#[derive(Debug)]
enum Way {
    Http(Box<Requester>),
    Email(Box<Mailer>),
}

/// Who asks one address.
#[derive(Debug)]
struct Requester {
    client: HttpClient,
    url: Url,
    form: Form,
}

/// What is in a request.
#[derive(Debug)]
enum Form {
    Alertmanager,
    Webhook(Option<WebhookSigner>),
    Telegram(i64),
    Slack,
}

impl Target {
    /// All that are configured. Reads the files that are named; asks nobody.
    ///
    /// # Errors
    /// Names the first that cannot be told.
    pub fn all(config: &NotifyConfig) -> Result<Vec<Self>, NotifyError> {
        let mut all = Vec::new();
        for receiver in &config.receivers {
            Self::of(receiver, config, &mut all)?;
        }
        Ok(all)
    }

    fn of(
        receiver: &ReceiverConfig,
        config: &NotifyConfig,
        all: &mut Vec<Self>,
    ) -> Result<(), NotifyError> {
        let name = |integration, index| key(&receiver.name, integration, index);
        let selector = receiver.selector().map_err(|error| NotifyError::Unusable {
            target: receiver.name.clone(),
            reason: error.to_string(),
        })?;
        let selector = Arc::new(selector);
        let timeouts =
            HttpTimeouts { connect: config.timeout.to_std(), whole: config.timeout.to_std() };
        let mut add =
            |integration, index, url: Result<Url, &'static str>, http, send_resolved, form| {
                let target = || name(integration, index);
                let url = url.map_err(|reason| NotifyError::Secret { target: target(), reason })?;
                let client = HttpClient::new(&url, http, timeouts)
                    .map_err(|source| NotifyError::Client { target: target(), source })?;
                let (receiver, selector) = (receiver.name.clone(), Arc::clone(&selector));
                let way = Way::Http(Box::new(Requester { client, url, form }));
                all.push(Self { receiver, integration, index, send_resolved, selector, way });
                Ok(())
            };
        for (i, it) in receiver.alertmanager_configs.iter().enumerate() {
            let url = under(&it.url, "/api/v2/alerts");
            add("alertmanager", i, url, &it.http_config, true, Form::Alertmanager)?;
        }
        for (i, it) in receiver.webhook_configs.iter().enumerate() {
            let secret = secret(&it.secret, &it.secret_file, || name("webhook", i))?;
            let signer = secret.as_ref().map(WebhookSigner::new).transpose();
            let signer = signer
                .map_err(|reason| NotifyError::Secret { target: name("webhook", i), reason })?;
            let url = under(&it.url, "");
            add("webhook", i, url, &it.http_config, it.send_resolved, Form::Webhook(signer))?;
        }
        for (i, it) in receiver.telegram_configs.iter().enumerate() {
            let token = secret(&it.bot_token, &it.bot_token_file, || name("telegram", i))?;
            let path = format!("/bot{}/sendMessage", token.unwrap_or_default().reveal());
            let url = under(&it.api_url, &path);
            add("telegram", i, url, &it.http_config, it.send_resolved, Form::Telegram(it.chat_id))?;
        }
        for (i, it) in receiver.slack_configs.iter().enumerate() {
            let url = secret(&it.api_url, &it.api_url_file, || name("slack", i))?;
            let url = under(url.unwrap_or_default().reveal(), "");
            add("slack", i, url, &it.http_config, it.send_resolved, Form::Slack)?;
        }
        for (index, it) in receiver.email_configs.iter().enumerate() {
            let target = || name("email", index);
            let password = secret(&it.auth_password, &it.auth_password_file, target)?;
            let mailer = Mailer::new(it, password, config.timeout.to_std(), target)?;
            let (receiver, way) = (receiver.name.clone(), Way::Email(Box::new(mailer)));
            let (selector, send_resolved) = (Arc::clone(&selector), it.send_resolved);
            let integration = "email";
            all.push(Self { receiver, integration, index, send_resolved, selector, way });
        }
        Ok(())
    }

    /// A name that stays the same while the configuration does.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.receiver, self.integration, self.index)
    }

    /// Whether its receiver is told of alerts with these labels, `alertname` and `model` included.
    pub(super) fn wants(&self, labels: &Labels) -> bool {
        self.selector.matches(labels)
    }

    /// How it wants to be told.
    pub(super) fn style(&self, resend_ms: i64) -> Style {
        match &self.way {
            Way::Http(it) if matches!(it.form, Form::Alertmanager) => {
                Style::Again { every_ms: resend_ms }
            }
            _ => Style::Once { send_resolved: self.send_resolved },
        }
    }

    /// Tells it, of alerts that go on until they are resolved or `ends_ms`.
    ///
    /// # Errors
    /// Why it was not told, as far as is known.
    pub async fn tell(&self, now_ms: i64, ends_ms: i64, notices: &[Notice]) -> Result<(), Failure> {
        match &self.way {
            Way::Http(requester) => requester.tell(&self.receiver, now_ms, ends_ms, notices).await,
            Way::Email(mailer) => mailer.tell(now_ms, notices).await,
        }
    }
}

impl Requester {
    async fn tell(
        &self,
        receiver: &str,
        now_ms: i64,
        ends_ms: i64,
        notices: &[Notice],
    ) -> Result<(), Failure> {
        let sent = self.request(receiver, now_ms, ends_ms, notices).send().await;
        let response = sent.map_err(|error| Failure {
            reason: match error.is_timeout() {
                true => "no answer within notify.timeout".to_owned(),
                false => innermost(&error.without_url()),
            },
            is_refusal: false,
            wait: None,
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let wait = wait(response.headers());
        let passes =
            [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
        let is_refusal = status.is_client_error() && !passes.contains(&status);
        let words = self.client.without_secrets(&words(response).await);
        Err(Failure { reason: format!("status {}{words}", status.as_u16()), is_refusal, wait })
    }

    fn request(
        &self,
        receiver: &str,
        now_ms: i64,
        ends_ms: i64,
        notices: &[Notice],
    ) -> RequestBuilder {
        let json = |body: Value| {
            let request = self.client.post(self.url.clone());
            request.header(CONTENT_TYPE, "application/json").body(body.to_string())
        };
        match &self.form {
            Form::Alertmanager => {
                let one = |it: &Notice| it.to_json(Some(it.resolved_ms.unwrap_or(ends_ms))).into();
                json(Value::Array(notices.iter().map(one).collect()))
            }
            Form::Webhook(signer) => {
                let body = webhook(receiver, notices).to_string();
                let headers = webhook_headers(signer.as_ref(), &content_id(notices), now_ms, &body);
                let request = self.client.post(self.url.clone()).headers(headers);
                request.header(CONTENT_TYPE, "application/json").body(body)
            }
            Form::Telegram(chat) => json(json!({
                "chat_id": chat,
                "text": text(notices, TELEGRAM_BYTES),
                "link_preview_options": {"is_disabled": true},
            })),
            Form::Slack => json(json!({ "text": for_slack(&text(notices, SLACK_BYTES)) })),
        }
    }
}

/// A text in which nothing means anything to Slack, whose signs for links and people these are.
fn for_slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn key(receiver: &str, integration: &str, index: usize) -> String {
    format!("{receiver}/{integration}[{index}]")
}

/// A path under an address.
fn under(address: &str, path: &str) -> Result<Url, &'static str> {
    let mut url = http_client::address(address)
        .map_err(|_| "holds no address that begins with https:// or http://")?;
    if !path.is_empty() {
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
    }
    Ok(url)
}

/// A secret that is written down or in a file.
fn secret(
    text: &Option<Secret>,
    file: &Option<std::path::PathBuf>,
    target: impl Fn() -> String,
) -> Result<Option<Secret>, NotifyError> {
    Secret::read(text, file).map_err(|SecretFileError { path, reason }| NotifyError::File {
        target: target(),
        path,
        reason,
    })
}

/// How long an answer asks to be left alone.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_WAIT))
}

/// What an answer says of itself, on one line.
async fn words(response: Response) -> String {
    let (text, _) = answer_text(response, ANSWER_BYTES).await;
    let line = text.split_whitespace().take(40).collect::<Vec<_>>().join(" ");
    if line.is_empty() { line } else { format!(": {line}") }
}

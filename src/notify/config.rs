//! The `notify` section of the configuration: who is told of alerts, and how.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::email::EmailConfig;
use crate::duration::Duration;
use crate::http_client::{self, HttpConfig, HttpConfigError, Secret};
use crate::maintenance::parse_matcher;
use crate::matcher::Selector;
use crate::setting::{SettingError, above_zero};

/// The `notify` section. Without receivers nobody is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NotifyConfig {
    /// How long an Alertmanager is left alone with an alert that goes on.
    pub resend_delay: Duration,
    /// How long one request may take, or the delivery of one e-mail.
    pub timeout: Duration,
    /// Alerts of one request, at most.
    pub max_alerts_per_request: usize,
    /// Alerts that are resolved and wait for a receiver to be told so, at most; then those that were
    /// resolved first are given up.
    pub max_resolved: usize,
    /// The longest wait for a receiver that did not take what it was sent.
    pub max_backoff: Duration,
    /// Who is told.
    pub receivers: Vec<ReceiverConfig>,
}

/// Who is told. Each of what is listed is told of all alerts that match.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiverConfig {
    /// Its name.
    pub name: String,
    /// Which alerts it is told of, in Alertmanager's syntax of matchers, all of which must match; of all alerts
    /// without this. An alert that it has been told of is told to its end, though a reload changes them.
    #[serde(default)]
    pub matchers: Vec<String>,
    /// Alertmanagers.
    #[serde(default)]
    pub alertmanager_configs: Vec<AlertmanagerConfig>,
    /// Webhooks, which get what an Alertmanager would post.
    #[serde(default)]
    pub webhook_configs: Vec<WebhookConfig>,
    /// Chats of Telegram.
    #[serde(default)]
    pub telegram_configs: Vec<TelegramConfig>,
    /// Incoming webhooks of Slack, or of what takes its messages.
    #[serde(default)]
    pub slack_configs: Vec<SlackConfig>,
    /// Mailboxes.
    #[serde(default)]
    pub email_configs: Vec<EmailConfig>,
}

/// An Alertmanager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerConfig {
    /// Its address, with its path prefix.
    pub url: String,
    /// How to speak to it.
    #[serde(default)]
    pub http_config: HttpConfig,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Its address.
    pub url: String,
    /// Whether it is told of alerts that are resolved.
    #[serde(default = "yes")]
    pub send_resolved: bool,
    /// What requests are signed with.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// A file with it.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// How to speak to it.
    #[serde(default)]
    pub http_config: HttpConfig,
}

/// A chat of Telegram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelegramConfig {
    /// Where the Bot API is.
    #[serde(default = "telegram")]
    pub api_url: String,
    /// The token of the bot.
    #[serde(default)]
    pub bot_token: Option<Secret>,
    /// A file with it.
    #[serde(default)]
    pub bot_token_file: Option<PathBuf>,
    /// The chat.
    pub chat_id: i64,
    /// Whether it is told of alerts that are resolved.
    #[serde(default = "yes")]
    pub send_resolved: bool,
    /// How to speak to it.
    #[serde(default)]
    pub http_config: HttpConfig,
}

/// An incoming webhook of Slack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlackConfig {
    /// Its address, which is a secret.
    #[serde(default)]
    pub api_url: Option<Secret>,
    /// A file with it.
    #[serde(default)]
    pub api_url_file: Option<PathBuf>,
    /// Whether it is told of alerts that are resolved.
    #[serde(default = "yes")]
    pub send_resolved: bool,
    /// How to speak to it.
    #[serde(default)]
    pub http_config: HttpConfig,
}

fn yes() -> bool {
    true
}

fn telegram() -> String {
    "https://api.telegram.org".to_owned()
}

impl Default for NotifyConfig {
    fn default() -> Self {
        Self {
            // These three as in Prometheus: --rules.alert.resend-delay, alertmanagers' timeout, and
            // --alertmanager.notification-batch-size.
            resend_delay: Duration::from_seconds(60),
            timeout: Duration::from_seconds(10),
            max_alerts_per_request: 256,
            // A fleet whose hosts come and go while a receiver is away for days; a few MiB.
            max_resolved: 10_000,
            // Who comes back is told within this time.
            max_backoff: Duration::from_seconds(300),
            receivers: Vec::new(),
        }
    }
}

fn wrong(key: &str, reason: impl Into<String>) -> Result<(), SettingError> {
    Err(SettingError::new(format!("notify.{key}"), reason))
}

impl NotifyConfig {
    /// Refuses what nobody can be told with.
    ///
    /// # Errors
    /// Names the first such key.
    pub fn validate(&self) -> Result<(), SettingError> {
        above_zero(
            "notify",
            &[
                ("resend_delay", Some(self.resend_delay.as_ms() as u64)),
                ("timeout", Some(self.timeout.as_ms() as u64)),
                ("max_alerts_per_request", Some(self.max_alerts_per_request as u64)),
                ("max_backoff", Some(self.max_backoff.as_ms() as u64)),
            ],
        )?;
        for (i, receiver) in self.receivers.iter().enumerate() {
            let key = format!("receivers[{i}]");
            if receiver.name.is_empty() {
                return wrong(&key, "name must not be empty");
            }
            if self.receivers[..i].iter().any(|other| other.name == receiver.name) {
                return wrong(&key, format!("name {:?} is used twice", receiver.name));
            }
            receiver.validate(&key)?;
        }
        Ok(())
    }

    /// Takes relative paths from this folder.
    pub fn resolve_paths(&mut self, folder: &Path) {
        for path in self.receivers.iter_mut().flat_map(ReceiverConfig::paths_mut) {
            *path = folder.join(&*path);
        }
    }

    /// The files that it names.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let mut copy = self.clone();
        copy.receivers.iter_mut().flat_map(ReceiverConfig::paths_mut).map(|it| it.clone()).collect()
    }
}

impl ReceiverConfig {
    /// What its matchers match.
    ///
    /// # Errors
    /// When one of them is none; says which.
    pub(super) fn selector(&self) -> Result<Selector, SettingError> {
        let matcher = |(i, text): (usize, &String)| {
            parse_matcher(text)
                .map_err(|it| SettingError::new(format!("matchers[{i}]"), it.to_string()))
        };
        let matchers = self.matchers.iter().enumerate().map(matcher);
        Ok(Selector::new(matchers.collect::<Result<_, _>>()?))
    }

    fn validate(&self, key: &str) -> Result<(), SettingError> {
        if let Err(SettingError { key: inner, reason }) = self.selector() {
            return wrong(&format!("{key}.{inner}"), reason);
        }
        for (i, it) in self.alertmanager_configs.iter().enumerate() {
            let key = format!("{key}.alertmanager_configs[{i}]");
            check_url(&format!("{key}.url"), &it.url)?;
            check_http(&key, &it.http_config)?;
        }
        for (i, it) in self.webhook_configs.iter().enumerate() {
            let key = format!("{key}.webhook_configs[{i}]");
            check_url(&format!("{key}.url"), &it.url)?;
            if it.secret.is_some() && it.secret_file.is_some() {
                return wrong(&key, "leave out either secret or secret_file");
            }
            check_http(&key, &it.http_config)?;
        }
        for (i, it) in self.telegram_configs.iter().enumerate() {
            let key = format!("{key}.telegram_configs[{i}]");
            check_url(&format!("{key}.api_url"), &it.api_url)?;
            if it.bot_token.is_some() == it.bot_token_file.is_some() {
                return wrong(&key, "write one of bot_token and bot_token_file");
            }
            check_http(&key, &it.http_config)?;
        }
        for (i, it) in self.slack_configs.iter().enumerate() {
            let key = format!("{key}.slack_configs[{i}]");
            if it.api_url.is_some() == it.api_url_file.is_some() {
                return wrong(&key, "write one of api_url and api_url_file");
            }
            if it.api_url.as_ref().is_some_and(|it| http_client::address(it.reveal()).is_err()) {
                return wrong(
                    &format!("{key}.api_url"),
                    "is not an address that begins with https://",
                );
            }
            check_http(&key, &it.http_config)?;
        }
        for (i, it) in self.email_configs.iter().enumerate() {
            if let Err((inner, reason)) = it.parts() {
                return wrong(&format!("{key}.email_configs[{i}].{inner}"), reason);
            }
        }
        Ok(())
    }

    fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        let mut all = Vec::new();
        for it in &mut self.alertmanager_configs {
            all.extend(it.http_config.paths_mut());
        }
        for it in &mut self.webhook_configs {
            all.extend(it.secret_file.iter_mut().chain(it.http_config.paths_mut()));
        }
        for it in &mut self.telegram_configs {
            all.extend(it.bot_token_file.iter_mut().chain(it.http_config.paths_mut()));
        }
        for it in &mut self.slack_configs {
            all.extend(it.api_url_file.iter_mut().chain(it.http_config.paths_mut()));
        }
        all.extend(self.email_configs.iter_mut().flat_map(EmailConfig::paths_mut));
        all
    }
}

/// Refuses what is no address, and one that would show a password wherever the configuration is shown.
fn check_url(key: &str, text: &str) -> Result<(), SettingError> {
    http_client::open_address(text).map(drop).or_else(|reason| wrong(key, reason))
}

fn check_http(key: &str, http: &HttpConfig) -> Result<(), SettingError> {
    http.validate().or_else(|HttpConfigError { key: inner, reason }| {
        wrong(&format!("{key}.http_config.{inner}"), reason)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(yaml: &str, expected: Option<&str>) {
        let config: NotifyConfig = serde_yaml::from_str(yaml).expect("a section");
        let found = config.validate().err().map(|it| it.to_string());
        assert_eq!(found.as_deref(), expected);
    }

    #[track_caller]
    fn check_receiver(yaml: &str, expected: &str) {
        let yaml = format!("receivers: [{{name: a, {yaml}}}]");
        check(&yaml, Some(&format!("notify.receivers[0].{expected}")));
    }

    #[test]
    fn what_nobody_can_be_told_with_is_named() {
        check("{}", None);
        check("resend_delay: 0s", Some("notify.resend_delay: must be above 0"));
        check("max_alerts_per_request: 0", Some("notify.max_alerts_per_request: must be above 0"));
        check(
            "receivers: [{name: a}, {name: a}]",
            Some("notify.receivers[1]: name \"a\" is used twice"),
        );
        check("receivers: [{name: ''}]", Some("notify.receivers[0]: name must not be empty"));
        check_receiver(
            "alertmanager_configs: [{url: 'localhost:9093'}]",
            "alertmanager_configs[0].url: \"localhost:9093\" is not an address (it begins with neither \
             http:// nor https://)",
        );
        check_receiver(
            "webhook_configs: [{url: 'http://u:hunter2@h'}]",
            "webhook_configs[0].url: must be without credentials; they belong into http_config",
        );
        check_receiver(
            "webhook_configs: [{url: 'http://h', http_config: {tls_config: {cert_file: c}}}]",
            "webhook_configs[0].http_config.tls_config: write cert_file and key_file, or neither",
        );
        check_receiver(
            "matchers: ['severity=page', 'severity']",
            "matchers[1]: \"severity\" is not a matcher; write it as in severity=\"ticket\", with \
             one of = != \
             =~ !~ after the label",
        );
        check_receiver(
            "telegram_configs: [{chat_id: -1}]",
            "telegram_configs[0]: write one of bot_token and bot_token_file",
        );
        check_receiver(
            "slack_configs: [{api_url: 'hooks'}]",
            "slack_configs[0].api_url: is not an address that begins with https://",
        );
    }

    #[test]
    fn secrets_do_not_show_and_paths_are_of_the_file() {
        let yaml = "receivers: [{name: a, webhook_configs: [{url: 'http://h', secret: hunter2}],
            telegram_configs: [{bot_token_file: t, chat_id: 1}], slack_configs: [{api_url: 'https://hunter2'}]}]";
        let mut config: NotifyConfig = serde_yaml::from_str(yaml).expect("a section");
        config.validate().expect("a good one");
        let printed = serde_yaml::to_string(&config).expect("plain data");
        assert!(!printed.contains("hunter2") && !format!("{config:?}").contains("hunter2"));
        config.resolve_paths(Path::new("/etc"));
        assert_eq!(config.files(), [PathBuf::from("/etc/t")]);
    }
}

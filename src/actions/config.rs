//! The `actions` section of the configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};

use super::argument::Argument;
use crate::bytesize::ByteSize;
use crate::detect::AlertingConfig;
use crate::duration::Duration;
use crate::http_client::{HttpConfig, HttpConfigError, Secret, WebhookSigner, open_address};
use crate::setting::SettingError;

/// Commands at one time, at most: each may hold its output, and a machine that restarts a hundred services at
/// once is no help.
const MOST_CONCURRENT: usize = 64;

/// Commands in an hour, at most: what began within an hour is kept.
const MOST_PER_HOUR: usize = 1_000;

/// What may be kept of an output: two hundred of them are kept for `/api/v1/actions`.
const MOST_OUTPUT: ByteSize = ByteSize::from_bytes(64 << 10);

/// The longest time-out and `verify_within`: who needs longer starts a job of another program.
const LONGEST: Duration = Duration::from_seconds(86_400);

/// The `actions` section of the configuration: which commands are run, and which webhooks are called, when
/// alerts fire. Without any there are none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActionsConfig {
    /// Whether anything is done at all.
    pub enabled: bool,
    /// Commands that run at one time.
    pub max_concurrent: usize,
    /// Commands that begin within an hour, of all actions together.
    pub max_per_hour: usize,
    /// The actions.
    pub list: Vec<ActionConfig>,
}

impl Default for ActionsConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            // One after the other: what the first does to the fleet is seen before the second begins.
            max_concurrent: 1,
            // More than these in an hour is for a person to look at.
            max_per_hour: 6,
            list: Vec::new(),
        }
    }
}

/// A command or a webhook, and when it is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionConfig {
    /// Its name, by which it keeps its memory over reloads and restarts.
    pub name: String,
    /// The alerts, by the names of their rules, at which it is run.
    pub alerts: Vec<String>,
    /// Program and arguments. No shell reads them. Either this or a webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// What is called instead of a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<ActionHookConfig>,
    /// Whether it is only told what would be run.
    #[serde(default = "yes")]
    pub dry_run: bool,
    /// Where it is run.
    #[serde(default = "root")]
    pub working_directory: PathBuf,
    /// All of its environment.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// How long it may take, the answer of a webhook included.
    #[serde(default = "half_a_minute")]
    pub timeout: Duration,
    /// What is kept of its output, and as much of what it says of errors; or of the answer of a webhook.
    #[serde(default = "four_kib")]
    pub max_output_bytes: ByteSize,
    /// From its beginning at an entity to the next at the same.
    #[serde(default = "an_hour")]
    pub per_entity_interval: Duration,
    /// From its beginning at an entity to the next at any.
    #[serde(default = "five_minutes")]
    pub cool_down: Duration,
    /// Whether it is run while an alert of a fleet is pending or firing.
    #[serde(default)]
    pub allow_during_fleet_alert: bool,
    /// How long after its end the score has to be below the threshold.
    #[serde(default = "ten_minutes")]
    pub verify_within: Duration,
    /// How long an entity is left alone after an action at it failed or did not help.
    #[serde(default = "a_day")]
    pub retry_after: Duration,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionHookConfig {
    /// Its address.
    pub url: String,
    /// What requests are signed with.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// A file with it.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// How to speak to it. Redirects are not followed, whatever it says.
    #[serde(default = "not_redirected", deserialize_with = "read_not_redirected")]
    pub http_config: HttpConfig,
}

/// What is to be done at one place is not done at another one.
fn not_redirected() -> HttpConfig {
    HttpConfig { follow_redirects: false, ..HttpConfig::default() }
}

fn read_not_redirected<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HttpConfig, D::Error> {
    Ok(HttpConfig { follow_redirects: false, ..HttpConfig::deserialize(deserializer)? })
}

/// Told, not done, until someone has read what would be done.
fn yes() -> bool {
    true
}

/// A folder that is always there.
fn root() -> PathBuf {
    PathBuf::from("/")
}

/// `systemctl restart` waits for the service; most are there by then.
fn half_a_minute() -> Duration {
    Duration::from_seconds(30)
}

/// The last words of a command that failed.
fn four_kib() -> ByteSize {
    ByteSize::from_bytes(4 << 10)
}

/// What a restart did not mend for an hour it does not mend.
fn an_hour() -> Duration {
    Duration::from_seconds(3_600)
}

/// As long as an alert takes to fire: a fleet that suffers from the action is seen before the next.
fn five_minutes() -> Duration {
    Duration::from_seconds(300)
}

/// Scores are smoothed over five minutes and more.
fn ten_minutes() -> Duration {
    Duration::from_seconds(600)
}

/// Someone has looked at it by then.
fn a_day() -> Duration {
    Duration::from_seconds(86_400)
}

impl ActionsConfig {
    /// Checks the section for these alerts.
    ///
    /// # Errors
    /// The first thing in it that cannot work.
    pub fn validate(&self, alerting: &AlertingConfig) -> Result<(), SettingError> {
        let wrong = |key: String, reason: String| Err(SettingError { key, reason });
        for (key, value, most) in [
            ("max_concurrent", self.max_concurrent, MOST_CONCURRENT),
            ("max_per_hour", self.max_per_hour, MOST_PER_HOUR),
        ] {
            if value == 0 || value > most {
                return wrong(format!("actions.{key}"), format!("must be 1 to {most}"));
            }
        }
        for (i, action) in self.list.iter().enumerate() {
            let key = format!("actions.list[{i}]");
            if action.name.is_empty() {
                return wrong(key, "name must not be empty".to_owned());
            }
            if self.list[..i].iter().any(|other| other.name == action.name) {
                return wrong(key, format!("name {:?} is used twice", action.name));
            }
            if let Some((what, reason)) = action.fault(alerting) {
                return wrong(format!("{key}.{what}"), reason);
            }
        }
        Ok(())
    }

    /// Takes relative paths from this folder.
    pub fn resolve_paths(&mut self, folder: &Path) {
        for path in self.list.iter_mut().flat_map(ActionConfig::paths_mut) {
            *path = folder.join(&*path);
        }
    }

    /// The files that it names.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let mut copy = self.clone();
        copy.list.iter_mut().flat_map(ActionConfig::paths_mut).map(|it| it.clone()).collect()
    }
}

impl ActionConfig {
    /// Those of its webhook.
    fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.webhook.iter_mut().flat_map(|ActionHookConfig { secret_file, http_config, .. }| {
            secret_file.iter_mut().chain(http_config.paths_mut())
        })
    }

    /// The first key that cannot work, and why.
    fn fault(&self, alerting: &AlertingConfig) -> Option<(String, String)> {
        let wrong = |key: &str, reason: &str| Some((key.to_owned(), reason.to_owned()));
        if self.alerts.is_empty() {
            return wrong("alerts", "there must be at least one");
        }
        let is_there = |name: &String| alerting.rules.iter().any(|it| it.alert == *name);
        if let Some(unknown) = self.alerts.iter().find(|it| !is_there(it)) {
            return wrong("alerts", &format!("there is no alert {unknown:?} in alerting.rules"));
        }
        let fault = match (&self.command, &self.webhook) {
            (Some(command), None) => self.command_fault(command),
            (None, Some(hook)) => self.hook_fault(hook),
            _ => wrong("command", "write one of command and webhook"),
        };
        if fault.is_some() {
            return fault;
        }
        for (key, duration) in [("timeout", self.timeout), ("verify_within", self.verify_within)] {
            if duration.as_ms() == 0 || duration > LONGEST {
                return wrong(key, &format!("must be above 0 and at most {LONGEST}"));
            }
        }
        if self.max_output_bytes > MOST_OUTPUT {
            return wrong("max_output_bytes", &format!("must be at most {MOST_OUTPUT}"));
        }
        None
    }

    fn command_fault(&self, command: &[String]) -> Option<(String, String)> {
        let wrong = |key: &str, reason: &str| Some((key.to_owned(), reason.to_owned()));
        let Some((program, arguments)) = command.split_first() else {
            return wrong("command", "there must be at least the path of a program");
        };
        if !program.starts_with('/') || program.contains('\0') {
            let reason = format!("{program:?} must be an absolute path: there is no search path");
            return wrong("command[0]", &reason);
        }
        if !Argument::parse(program).is_ok_and(|it| it.is_literal()) {
            return wrong("command[0]", "the program cannot depend on labels");
        }
        for (i, argument) in (1..).zip(arguments) {
            if let Err(reason) = Argument::parse(argument) {
                return wrong(&format!("command[{i}]"), &reason);
            }
        }
        if !self.working_directory.is_absolute() {
            return wrong("working_directory", "must be an absolute path");
        }
        let is_variable = |name: &str| !name.is_empty() && !name.contains(['=', '\0']);
        for (name, value) in &self.environment {
            if !is_variable(name) || value.contains('\0') {
                return wrong("environment", &format!("{name:?} cannot be a variable"));
            }
        }
        None
    }

    fn hook_fault(&self, hook: &ActionHookConfig) -> Option<(String, String)> {
        let wrong = |key: &str, reason: &str| Some((key.to_owned(), reason.to_owned()));
        if let Err(reason) = open_address(&hook.url) {
            return wrong("webhook.url", &reason);
        }
        if hook.secret.is_some() && hook.secret_file.is_some() {
            return wrong("webhook", "leave out either secret or secret_file");
        }
        if let Some(Err(reason)) = hook.secret.as_ref().map(WebhookSigner::new) {
            return wrong("webhook", reason);
        }
        if let Err(HttpConfigError { key, reason }) = hook.http_config.validate() {
            return wrong(&format!("webhook.http_config.{key}"), &reason);
        }
        for (key, is_said) in [
            ("working_directory", self.working_directory != root()),
            ("environment", !self.environment.is_empty()),
        ] {
            if is_said {
                return wrong(key, "has no effect with a webhook");
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn action(keys: Value) -> Value {
        let mut action = json!({"name": "restart", "alerts": ["A"], "command": ["/bin/true"]});
        for (key, value) in keys.as_object().expect("keys") {
            action[key] = value.clone();
        }
        action
    }

    fn alerting() -> AlertingConfig {
        let rule = serde_json::from_value(json!({"alert": "A"})).expect("a rule");
        AlertingConfig { rules: vec![rule], ..AlertingConfig::default() }
    }

    #[track_caller]
    fn check(keys: Value, expected: &str) {
        let config: ActionsConfig =
            serde_json::from_value(json!({"list": [action(keys)]})).expect("a section");
        let error = config.validate(&alerting()).expect_err("it cannot work").to_string();
        assert!(error.starts_with(&format!("actions.list[0]{expected}")), "{error}");
    }

    #[test]
    fn what_is_not_said_is_careful() {
        let config: ActionsConfig =
            serde_json::from_value(json!({"list": [action(json!({}))]})).expect("a section");
        assert_eq!(config.validate(&alerting()), Ok(()));
        assert!(!config.enabled && config.list[0].dry_run);
        assert!(!config.list[0].allow_during_fleet_alert);
        assert!(config.list[0].environment.is_empty());
        assert_eq!((config.max_concurrent, config.max_per_hour), (1, 6));
        assert_eq!(ActionsConfig::default().validate(&AlertingConfig::default()), Ok(()));
    }

    #[test]
    fn what_cannot_work_is_named() {
        check(json!({"name": ""}), ": name must not be empty");
        check(json!({"alerts": []}), ".alerts: there must be at least one");
        check(json!({"alerts": ["A", "B"]}), ".alerts: there is no alert \"B\"");
        check(json!({"command": []}), ".command: there must be at least the path");
        check(
            json!({"command": ["systemctl"]}),
            ".command[0]: \"systemctl\" must be an absolute path",
        );
        check(
            json!({"command": ["/bin/{job}"]}),
            ".command[0]: the program cannot depend on labels",
        );
        check(json!({"command": ["/bin/a", "b", "{c"]}), ".command[2]: \"{c\" has a { by itself");
        check(json!({"command": null}), ".command: write one of command and webhook");
        check(
            json!({"webhook": {"url": "http://h"}}),
            ".command: write one of command and webhook",
        );
        check(json!({"working_directory": "here"}), ".working_directory: must be an absolute path");
        check(json!({"environment": {"A=B": "c"}}), ".environment: \"A=B\" cannot be a variable");
        check(json!({"timeout": "0s"}), ".timeout: must be above 0 and at most 1d");
        check(json!({"verify_within": "2d"}), ".verify_within: must be above 0 and at most 1d");
        check(json!({"max_output_bytes": "1MiB"}), ".max_output_bytes: must be at most 64KiB");
        for (key, value) in [("max_concurrent", 0), ("max_concurrent", 65), ("max_per_hour", 0)] {
            let config: ActionsConfig =
                serde_json::from_value(json!({key: value})).expect("numbers");
            let error = config.validate(&alerting()).expect_err("a limit").to_string();
            assert!(error.starts_with(&format!("actions.{key}: must be 1 to ")), "{error}");
        }
        let twice = json!({"list": [action(json!({})), action(json!({}))]});
        let config: ActionsConfig = serde_json::from_value(twice).expect("a section");
        let error = config.validate(&alerting()).expect_err("one name").to_string();
        assert_eq!(error, "actions.list[1]: name \"restart\" is used twice");
    }

    #[test]
    fn a_webhook_stands_instead_of_a_command() {
        let hook = |webhook: Value| json!({"command": null, "webhook": webhook});
        check(hook(json!({"url": "h:80"})), ".webhook.url: \"h:80\" is not an address");
        check(
            hook(json!({"url": "http://u:hunter2@h"})),
            ".webhook.url: must be without credentials",
        );
        check(
            hook(json!({"url": "http://h", "secret": "a", "secret_file": "b"})),
            ".webhook: leave out either secret or secret_file",
        );
        check(
            hook(json!({"url": "http://h", "secret": "whsec_hunter2"})),
            ".webhook: secret begins with whsec_, but what follows is not base64",
        );
        check(
            hook(json!({"url": "http://h", "http_config": {"no_proxy": "a"}})),
            ".webhook.http_config.no_proxy: has no effect without proxy_url",
        );
        let mut keys = hook(json!({"url": "http://h"}));
        keys["environment"] = json!({"A": "b"});
        check(keys, ".environment: has no effect with a webhook");
        let mut keys = hook(json!({"url": "http://h"}));
        keys["working_directory"] = json!("/srv");
        check(keys, ".working_directory: has no effect with a webhook");

        let keys = hook(json!({
            "url": "http://h", "secret_file": "s",
            "http_config": {"follow_redirects": true, "authorization": {"credentials": "hunter2"}},
        }));
        let mut config: ActionsConfig =
            serde_json::from_value(json!({"list": [action(keys)]})).expect("a section");
        assert_eq!(config.validate(&alerting()), Ok(()));
        let printed = serde_json::to_string(&config).expect("plain data");
        assert!(!printed.contains("hunter2") && printed.contains("\"follow_redirects\":false"));
        config.resolve_paths(Path::new("/etc"));
        assert_eq!(config.files(), [PathBuf::from("/etc/s")]);
    }

    #[test]
    fn unknown_keys_and_what_is_missing_are_refused() {
        for (keys, why) in
            [(json!({"comand": []}), "unknown field `comand`"), (json!({"timeout": 5}), "")]
        {
            let error = serde_json::from_value::<ActionConfig>(action(keys)).expect_err("a key");
            assert!(error.to_string().contains(why), "{error}");
        }
        let nameless = serde_json::from_value::<ActionConfig>(json!({"alerts": []}));
        assert!(nameless.expect_err("a name").to_string().contains("missing field `name`"));
    }
}

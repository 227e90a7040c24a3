//! What a server says of its configuration: which jobs it scrapes, how, and to whom it writes.
//!
//! In: the YAML that `/api/v1/status/config` gives, in which every default is written out and every secret
//! left out. Out: what a doctor looks at. Lenient: keys that are not looked at may be any, as VictoriaMetrics
//! and newer servers have their own.
//! Source: Prometheus documentation "Configuration".

use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_yaml::Value;

use crate::duration::Duration;

/// The distance between two scrapes where nothing says one: Prometheus's default.
const DEFAULT_INTERVAL: Duration = Duration::from_seconds(60);

/// What is looked at of a server's configuration.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ServerConfig {
    global: Global,
    /// Who is scraped.
    pub scrape_configs: Vec<ScrapeJob>,
    /// To whom samples are written.
    pub remote_write: Vec<RemoteWrite>,
    /// Files with further jobs, which the server does not show.
    pub scrape_config_files: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Global {
    #[serde(deserialize_with = "interval")]
    scrape_interval: Option<Duration>,
    #[serde(deserialize_with = "interval")]
    evaluation_interval: Option<Duration>,
}

/// One job.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ScrapeJob {
    /// Its name, which is the label `job` of what it scrapes, unless that is relabelled.
    pub job_name: String,
    #[serde(deserialize_with = "interval")]
    scrape_interval: Option<Duration>,
    /// Whether labels of what is scraped are kept where the server has such labels itself.
    pub honor_labels: bool,
    /// What is done with the labels of each sample.
    pub metric_relabel_configs: Vec<RelabelRule>,
    /// Targets that the configuration names itself.
    pub static_configs: Vec<StaticTargets>,
}

/// Targets that a configuration names.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct StaticTargets {
    /// `host:port`.
    pub targets: Vec<String>,
}

/// One receiver of samples.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RemoteWrite {
    /// Its address; the server hides a password in it.
    pub url: String,
    /// Its name, if it has one.
    pub name: String,
    /// What is done with the labels of each series.
    pub write_relabel_configs: Vec<RelabelRule>,
}

/// A rule of relabelling, as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct RelabelRule {
    /// The labels whose values are looked at.
    pub source_labels: Vec<String>,
    /// What joins them.
    pub separator: String,
    /// What they are compared with.
    #[serde(deserialize_with = "pattern")]
    pub regex: String,
    /// The label that is set.
    pub target_label: String,
    /// What it is set to.
    pub replacement: String,
    /// What is done.
    pub action: String,
    /// VictoriaMetrics's condition for a rule to be used at all.
    #[serde(rename = "if")]
    pub condition: Option<Value>,
}

impl Default for RelabelRule {
    fn default() -> Self {
        Self {
            source_labels: Vec::new(),
            separator: ";".to_owned(),
            regex: "(.*)".to_owned(),
            target_label: String::new(),
            replacement: "$1".to_owned(),
            action: "replace".to_owned(),
            condition: None,
        }
    }
}

impl ServerConfig {
    /// Reads what a server says.
    ///
    /// # Errors
    /// What is not YAML, or not of the shape that Prometheus documents.
    pub fn parse(yaml: &str) -> Result<Self, String> {
        serde_yaml::from_str::<Option<Self>>(yaml)
            .map(Option::unwrap_or_default)
            .map_err(|error| error.to_string())
    }

    /// Whether it would show a remote write if there were one. Prometheus always writes its interval of
    /// evaluation; VictoriaMetrics has none, and flags of vmagent say whom that writes to.
    #[must_use]
    pub fn shows_remote_write(&self) -> bool {
        self.global.evaluation_interval.is_some()
    }

    /// How often a job is scraped.
    #[must_use]
    pub fn interval(&self, job: &ScrapeJob) -> Duration {
        job.scrape_interval.or(self.global.scrape_interval).unwrap_or(DEFAULT_INTERVAL)
    }

    /// The job with this name.
    #[must_use]
    pub fn job(&self, name: &str) -> Option<&ScrapeJob> {
        self.scrape_configs.iter().find(|it| it.job_name == name)
    }
}

/// How much of a pattern is shown: enough to find it again.
const SHOWN_PATTERN: usize = 60;

impl fmt::Display for RelabelRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut regex: String = self.regex.chars().take(SHOWN_PATTERN).collect();
        if regex.len() < self.regex.len() {
            regex.push('…');
        }
        write!(f, "action: {}, source_labels: [{}]", self.action, self.source_labels.join(", "))?;
        write!(f, ", regex: {regex:?}")
    }
}

fn interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    // One that is not understood is as good as none.
    Ok(text.and_then(|it| it.parse().ok()).filter(|it: &Duration| it.as_ms() > 0))
}

/// A pattern; VictoriaMetrics takes a list, of which one must match. Numbers and the like are texts here.
fn pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    fn text(value: Value) -> String {
        match value {
            Value::String(text) => text,
            Value::Sequence(items) => items.into_iter().map(text).collect::<Vec<_>>().join("|"),
            Value::Null => String::new(),
            other => serde_yaml::to_string(&other).unwrap_or_default().trim().to_owned(),
        }
    }
    Value::deserialize(deserializer).map(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_prometheuss_and_other_keys_are_let_be() {
        let config = ServerConfig::parse(
            "global: {scrape_interval: 30s, external_labels: {a: b}}\n\
             scrape_configs:\n\
             - {job_name: a, scrape_interval: 1m, basic_auth: {password: <secret>}}\n\
             - {job_name: b, metric_relabel_configs: [{regex: [x, 1], action: keep_metrics, if: '{a=\"b\"}'}]}\n\
             remote_write:\n- url: http://u:xxxxx@h/api/v1/write\n",
        )
        .expect("a good configuration");
        let intervals = config.scrape_configs.iter().map(|it| config.interval(it).as_ms());
        assert_eq!(intervals.collect::<Vec<_>>(), [60_000, 30_000]);
        let rule = &config.job("b").expect("the job").metric_relabel_configs[0];
        assert_eq!((rule.regex.as_str(), rule.condition.is_some()), ("x|1", true));
        assert!(config.job("c").is_none() && !config.scrape_configs[0].honor_labels);
        assert_eq!(config.remote_write.len(), 1);
        assert_eq!(ServerConfig::parse(""), Ok(ServerConfig::default()));
        assert!(ServerConfig::parse("scrape_configs: 1").is_err());
    }
}

//! The doctor: whether a server has what features need, and what to change where it has not.
//!
//! In: models with their features, and a Prometheus-compatible server. Out: for each feature how many hosts
//! have a value, now and over the last day, and findings, each a sentence that says what to change.
//!
//! ```text
//! models ─▶ Subject ─▶ ask ─▶ Said ─▶ examine ─▶ Examination
//!           needs      server  answers  judgement   rows, findings
//! ```
//!
//! Judging is pure: [`examine`] knows no server and no clock. [`ask`] is thin. What a server does not tell
//! (VictoriaMetrics, Thanos and Mimir have no configuration to show, or not all of it) is open, not wrong.

use std::collections::{BTreeMap, HashMap};

use crate::features::{FeatureError, FeatureSpec, Features, Missing};
use crate::labels::{Labels, METRIC_NAME};
use crate::matcher::{MatchOp, Matcher, Selector};
use crate::promql::ValueType;

mod ask;
mod hosts;
mod intervals;
mod judge;
mod keep;
mod lacking;
mod relabel;
mod server_config;
mod wiring;

#[cfg(test)]
mod tests;

pub use ask::ask;
pub use judge::examine;
pub use keep::keep_rule;

use server_config::ServerConfig;

/// The features of one model, and what they need.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The model.
    pub name: String,
    /// The labels that name a host.
    pub entity: Vec<String>,
    features: Vec<Need>,
    read: Vec<Selector>,
}

/// What a feature needs.
#[derive(Debug, Clone)]
struct Need {
    name: String,
    /// The expression, as an instant vector.
    text: String,
    /// The text for where label sets clash.
    lenient: Option<String>,
    /// As of [`crate::promql::Expr::ways`].
    ways: Vec<Vec<Selector>>,
    /// As of [`crate::promql::Expr::differences`].
    differences: Vec<(Selector, i64)>,
    /// How far back it reads.
    range_ms: i64,
    is_common: bool,
    /// What is there for a host that has no value.
    missing: Missing,
}

impl Subject {
    /// What these features need.
    ///
    /// # Errors
    /// The first feature that cannot be computed.
    pub fn new(
        name: &str,
        features: &[FeatureSpec],
        entity: &[String],
    ) -> Result<Self, FeatureError> {
        let parsed = Features::parse(features, entity)?;
        let needs = parsed.specs().iter().zip(parsed.exprs()).map(|(spec, expr)| {
            // A comment may end the text.
            let text = match expr.value_type() {
                ValueType::Scalar => format!("vector({}\n)", spec.expr),
                ValueType::Vector => spec.expr.clone(),
            };
            Need {
                name: spec.name.clone(),
                text,
                lenient: expr.lenient_text(),
                ways: expr.ways(),
                differences: expr.differences(),
                range_ms: expr.range_ms(),
                is_common: expr.is_common(),
                missing: spec.missing,
            }
        });
        let features = needs.collect();
        let mut read: Vec<Selector> = Vec::new();
        for (selector, _) in parsed.exprs().iter().flat_map(|it| it.selectors()) {
            if !read.contains(&selector) {
                read.push(selector);
            }
        }
        Ok(Self { name: name.to_owned(), entity: entity.to_vec(), features, read })
    }

    /// Everything that the features read, each selector once.
    #[must_use]
    pub fn selectors(&self) -> &[Selector] {
        &self.read
    }
}

/// What a server said. What it did not tell is absent.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// For each subject, for each of its features.
    features: Vec<Vec<SaidOfFeature>>,
    /// Label sets (job, instance and what names hosts) of the series that there are now.
    series: HashMap<Selector, Vec<Labels>>,
    /// Of metrics without series now: whether there were any within the last day.
    last_day: BTreeMap<String, bool>,
    config: Option<ServerConfig>,
    targets: Option<Vec<Target>>,
    /// Jobs and instances of Portents that the server scrapes.
    portents: Vec<Labels>,
    /// Jobs whose scores have come back as `exported_instance`.
    exported: Vec<String>,
    /// Why something is not known.
    open: Vec<String>,
}

/// Label sets with a finite value, or the server's words for why there is no answer.
type Valued = Result<Vec<Labels>, String>;

#[derive(Debug, Clone)]
struct SaidOfFeature {
    now: Valued,
    last_day: Valued,
}

/// What is scraped, and how that goes.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Target {
    labels: BTreeMap<String, String>,
    scrape_interval: String,
    health: String,
    last_error: String,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examination {
    /// For each subject.
    pub subjects: Vec<Examined>,
    /// What must be changed, each a sentence.
    pub faults: Vec<String>,
    /// What may be meant so.
    pub hints: Vec<String>,
    /// What is not known, and why.
    pub open: Vec<String>,
}

impl Examination {
    /// Whether every feature has a value for some host, and nothing must be changed.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let mut rows = self.subjects.iter().flat_map(|it| &it.rows);
        self.faults.is_empty() && rows.all(|it| it.now.is_some_and(|hosts| hosts > 0))
    }
}

/// What was found of one subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examined {
    /// The model.
    pub name: String,
    /// Hosts that have a value of some feature now.
    pub hosts: usize,
    /// For each feature.
    pub rows: Vec<Row>,
}

/// What was found of one feature.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// The feature.
    pub feature: String,
    /// Hosts with a value now, where that is known.
    pub now: Option<usize>,
    /// Hosts with a value over the last day.
    pub last_day: Option<usize>,
    /// Hosts that have a value of some other feature now and none of this one.
    pub lacking: Vec<String>,
}

/// The selector of all series of one metric.
fn named(metric: &str) -> Selector {
    let matcher = Matcher::new(METRIC_NAME, MatchOp::Equal, metric);
    Selector::new(matcher.into_iter().collect())
}

/// A few of many, for a sentence.
fn some<'a>(all: impl IntoIterator<Item = &'a str>) -> String {
    /// As many as can be read at a glance.
    const MOST: usize = 5;
    let all: Vec<&str> = all.into_iter().collect();
    match all.len() {
        0..=MOST => all.join(", "),
        many => format!("{} and {} more", all[..MOST].join(", "), many - MOST),
    }
}

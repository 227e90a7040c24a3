//! A notice: an alert as it is told to others.

use std::fmt::Write;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::ledger::Due;
use crate::detect::alert::{ActiveAlert, Details};
use crate::http_client::webhook_id;
use crate::labels::Labels;
use crate::timestamp::format_ms;

/// Alerts that a message of a chat spells out; how many more there are is said.
const SPELT_OUT: usize = 10;

/// An alert as it is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Its labels, which say who it is.
    pub labels: Labels,
    /// Those of them that name the entity; `None` of a fleet.
    pub entity: Option<Labels>,
    /// What it says.
    pub annotations: Arc<[(String, String)]>,
    /// When it fired.
    pub fired_ms: i64,
    /// When it was resolved; `None` while it fires.
    pub resolved_ms: Option<i64>,
    /// What is behind it, while it fires.
    pub details: Option<Details>,
}

impl Notice {
    /// Of an alert that is due, and fires if it is given.
    pub(super) fn new(due: &Due, active: Option<&ActiveAlert>) -> Self {
        let owned = |(name, text): (&str, String)| (name.to_owned(), text);
        Self {
            labels: due.labels.clone(),
            entity: due.entity.clone(),
            annotations: active.map_or_else(
                || Arc::clone(&due.said),
                |it| it.annotations().into_iter().map(owned).collect(),
            ),
            fired_ms: due.fired_ms,
            resolved_ms: due.resolved_ms,
            details: active.map(Details::new),
        }
    }

    /// `firing` or `resolved`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        if self.resolved_ms.is_some() { "resolved" } else { "firing" }
    }

    fn annotation(&self, name: &str) -> &str {
        let mut all = self.annotations.iter();
        all.find(|it| it.0 == name).map_or("", |it| it.1.as_str())
    }

    /// What all integrations of Prometheus's kin know of an alert. It ends at `ends_ms`.
    pub(super) fn to_json(&self, ends_ms: Option<i64>) -> Map<String, Value> {
        let labels: Map<_, _> = self.labels.iter().map(|(k, v)| (k.to_owned(), v.into())).collect();
        let annotations: Map<_, _> =
            self.annotations.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
        let mut json = Map::new();
        json.insert("labels".to_owned(), labels.into());
        json.insert("annotations".to_owned(), annotations.into());
        json.insert("startsAt".to_owned(), format_ms(self.fired_ms).into());
        if let Some(ends_ms) = ends_ms {
            json.insert("endsAt".to_owned(), format_ms(ends_ms).into());
        }
        json
    }
}

/// What notices say in a chat, in at most so many bytes.
pub(super) fn text(notices: &[Notice], max_bytes: usize) -> String {
    let mut text = String::new();
    for status in ["firing", "resolved"] {
        let of_it: Vec<&Notice> = notices.iter().filter(|it| it.status() == status).collect();
        if of_it.is_empty() {
            continue;
        }
        let title = status.to_uppercase();
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}[{title}:{}]", of_it.len());
        for it in of_it.iter().take(SPELT_OUT) {
            let (name, summary) = (it.labels.get("alertname"), it.annotation("summary"));
            let summary = match summary.is_empty() {
                true => it.labels.to_string(),
                false => summary.to_owned(),
            };
            let _ = writeln!(text, "{name}: {summary}");
            let description = it.annotation("description");
            if !description.is_empty() && it.resolved_ms.is_none() {
                let _ = writeln!(text, "{description}");
            }
        }
        let more = of_it.len().saturating_sub(SPELT_OUT);
        if more > 0 {
            let _ = writeln!(text, "and {more} more");
        }
    }
    clip(text.trim_end(), max_bytes)
}

/// No more than so many bytes of a text, with a sign that there is more.
pub(super) fn clip(text: &str, max_bytes: usize) -> String {
    const MORE: &str = "...";
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max_bytes.saturating_sub(MORE.len()));
    format!("{}{MORE}", &text[..end])
}

/// What a webhook gets: the form that an Alertmanager posts, with what is behind each alert beside it.
pub(super) fn webhook(receiver: &str, notices: &[Notice]) -> Value {
    let alerts = notices.iter().map(|it| {
        // As Go writes that there is no time.
        let ends = it.resolved_ms.map_or("0001-01-01T00:00:00Z".to_owned(), format_ms);
        let mut json = it.to_json(None);
        json.insert("status".to_owned(), it.status().into());
        json.insert("endsAt".to_owned(), ends.into());
        json.insert("fingerprint".to_owned(), fingerprint(&it.labels).into());
        json.insert("portent".to_owned(), json!(it.details));
        Value::from(json)
    });
    let alerts: Vec<Value> = alerts.collect();
    let fires = notices.iter().any(|it| it.resolved_ms.is_none());
    json!({
        "version": "4",
        "groupKey": format!("{{}}:{{receiver={receiver:?}}}"),
        "truncatedAlerts": 0,
        "status": if fires { "firing" } else { "resolved" },
        "receiver": receiver,
        "groupLabels": {},
        "commonLabels": common(notices.iter().map(|it| it.labels.iter().collect())),
        "commonAnnotations": common(notices.iter().map(|it| {
            it.annotations.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()
        })),
        "externalURL": "",
        "alerts": alerts,
    })
}

/// What all of them have in common.
fn common<'a>(mut all: impl Iterator<Item = Vec<(&'a str, &'a str)>>) -> Map<String, Value> {
    let mut common = all.next().unwrap_or_default();
    for other in all {
        common.retain(|it| other.contains(it));
    }
    common.into_iter().map(|(k, v)| (k.to_owned(), v.into())).collect()
}

/// A name of what is told, the same each time the same is told.
pub(super) fn content_id(notices: &[Notice]) -> String {
    let line =
        |it: &Notice| format!("{} {} {}\n", fingerprint(&it.labels), it.fired_ms, it.status());
    webhook_id(&notices.iter().map(line).collect::<String>())
}

/// A short name of a label set, the same in every process.
fn fingerprint(labels: &Labels) -> String {
    let mut hasher = fnv::FnvHasher::default();
    for (name, value) in labels.iter() {
        for part in [name, value] {
            std::hash::Hasher::write(&mut hasher, part.as_bytes());
            std::hash::Hasher::write_u8(&mut hasher, 0xff);
        }
    }
    format!("{:016x}", std::hash::Hasher::finish(&hasher))
}

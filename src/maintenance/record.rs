//! A silence as JSON: on the API as Alertmanager has it, and on the disk.
//!
//! Source: Alertmanager `api/v2/openapi.yaml` (`postableSilence`, `gettableSilence`).

use serde::{Deserialize, Serialize};

use super::silence::Silence;
use crate::matcher::{MatchOp, Matcher, Selector};
use crate::timestamp::{format_ms, parse_ms};

/// A silence; what Alertmanager knows beyond it is read over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SilenceRecord {
    /// Its id; empty or not there for a new one.
    #[serde(default)]
    pub id: Option<String>,
    /// How far it is; read over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusRecord>,
    /// When it was set or changed last; read from the disk only.
    #[serde(default)]
    pub updated_at: Option<String>,
    /// Why.
    pub comment: String,
    /// Who set it.
    pub created_by: String,
    /// Until when, in RFC 3339.
    pub ends_at: String,
    /// From when, in RFC 3339.
    pub starts_at: String,
    /// Which alerts it holds back.
    pub matchers: Vec<MatcherRecord>,
}

/// How far a silence is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRecord {
    /// `active`, `pending` or `expired`.
    pub state: String,
}

/// One matcher of a silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MatcherRecord {
    /// The label.
    pub name: String,
    /// The text or pattern.
    pub value: String,
    /// Whether it is a pattern.
    pub is_regex: bool,
    /// Whether it must match; else it must not.
    #[serde(default = "yes")]
    pub is_equal: bool,
}

/// Alertmanager's default, for clients from before there was the field.
fn yes() -> bool {
    true
}

/// Why a record is no silence: a key, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct RecordError {
    /// The key.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

impl SilenceRecord {
    /// The record of a silence.
    #[must_use]
    pub fn of(silence: &Silence, now_ms: i64) -> Self {
        let matcher = |it: &Matcher| MatcherRecord {
            name: it.name().to_owned(),
            value: it.value().to_owned(),
            is_regex: matches!(it.op(), MatchOp::Regex | MatchOp::NotRegex),
            is_equal: matches!(it.op(), MatchOp::Equal | MatchOp::Regex),
        };
        Self {
            id: Some(silence.id.clone()),
            status: Some(StatusRecord { state: silence.state(now_ms).name().to_owned() }),
            updated_at: Some(format_ms(silence.updated_at_ms)),
            comment: silence.comment.clone(),
            created_by: silence.created_by.clone(),
            ends_at: format_ms(silence.ends_at_ms),
            starts_at: format_ms(silence.starts_at_ms),
            matchers: silence.selector.matchers().iter().map(matcher).collect(),
        }
    }

    /// The silence of a record, with an empty id where the record has none.
    ///
    /// # Errors
    /// The first key that cannot be used.
    pub fn silence(&self) -> Result<Silence, RecordError> {
        let wrong = |key: &str, reason: String| RecordError { key: key.to_owned(), reason };
        let moment =
            |key: &str, text: &str| parse_ms(text).map_err(|error| wrong(key, error.to_string()));
        if self.matchers.is_empty() {
            return Err(wrong("matchers", "there must be at least one".to_owned()));
        }
        let mut matchers = Vec::with_capacity(self.matchers.len());
        for (i, it) in self.matchers.iter().enumerate() {
            let key = format!("matchers[{i}]");
            if it.name.is_empty() {
                return Err(wrong(&key, "name must not be empty".to_owned()));
            }
            let op = match (it.is_regex, it.is_equal) {
                (false, true) => MatchOp::Equal,
                (false, false) => MatchOp::NotEqual,
                (true, true) => MatchOp::Regex,
                (true, false) => MatchOp::NotRegex,
            };
            let matcher = Matcher::new(&*it.name, op, &*it.value);
            matchers.push(matcher.map_err(|error| wrong(&key, error.to_string()))?);
        }
        let updated_at_ms = self.updated_at.as_deref().map(|it| moment("updatedAt", it));
        Ok(Silence {
            id: self.id.clone().unwrap_or_default(),
            selector: Selector::new(matchers),
            starts_at_ms: moment("startsAt", &self.starts_at)?,
            ends_at_ms: moment("endsAt", &self.ends_at)?,
            updated_at_ms: updated_at_ms.transpose()?.unwrap_or(0),
            created_by: self.created_by.clone(),
            comment: self.comment.clone(),
        })
    }
}

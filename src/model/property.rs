//! A property: one entry of a file's metadata as text, and what file and configuration agree on.
//!
//! In: lists, numbers and times. Out: their text (JSON, decimal, RFC 3339) and what a text says, or a
//! sentence that names the entry and begins with what it holds.

use std::fmt;

use serde::Serialize;

use super::error::ArtifactError;
use crate::features::FeatureSpec;
use crate::timestamp;

/// A value as JSON; for those without a number that is not finite.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("lists and structs of text and finite numbers")
}

/// What the JSON of an entry says.
pub(super) fn from_json<T: serde::de::DeserializeOwned>(
    key: &str,
    value: &str,
) -> Result<T, ArtifactError> {
    serde_json::from_str(value).map_err(|error| malformed(key, value, &error))
}

/// What the text of an entry says.
pub(super) fn parse<T: std::str::FromStr<Err: fmt::Display>>(
    key: &str,
    value: &str,
) -> Result<T, ArtifactError> {
    value.parse().map_err(|error| malformed(key, value, &error))
}

/// The time of an entry, in milliseconds since 1970.
pub(super) fn time(key: &str, value: &str) -> Result<i64, ArtifactError> {
    timestamp::parse_ms(value).map_err(|error| malformed(key, value, &error))
}

fn malformed(key: &str, value: &str, reason: &dyn fmt::Display) -> ArtifactError {
    ArtifactError::Malformed {
        key: key.to_owned(),
        // Enough to recognise it by; a file may hold anything.
        value: value.chars().take(80).collect(),
        reason: reason.to_string(),
    }
}

/// The value that either side gives; both only when they are equal.
pub(super) fn agree<T: Clone + PartialEq>(
    key: &'static str,
    file: &Option<T>,
    config: &Option<T>,
    describe: impl Fn(&T) -> String,
) -> Result<Option<T>, ArtifactError> {
    match (file, config) {
        (Some(file), Some(config)) if file != config => Err(ArtifactError::Contradiction {
            key: key.to_owned(),
            file: describe(file),
            config: describe(config),
        }),
        (Some(value), _) | (None, Some(value)) => Ok(Some(value.clone())),
        (None, None) => Ok(None),
    }
}

/// The first thing in which the file's features and the configuration's differ: what it is, and what either
/// says of it. All of them would be more than anybody reads.
pub(super) fn first_difference(
    file: &[FeatureSpec],
    config: &[FeatureSpec],
) -> Option<(String, String, String)> {
    let at = (0..file.len().max(config.len())).find(|at| file.get(*at) != config.get(*at))?;
    let number = format!("features: number {}", at + 1);
    let name = |it: Option<&FeatureSpec>| it.map_or("nothing".to_owned(), |it| it.name.clone());
    let (Some(one), Some(other)) = (file.get(at), config.get(at)) else {
        return Some((number, name(file.get(at)), name(config.get(at))));
    };
    let key = |what: &str| format!("features: {what} of {:?}", one.name);
    Some(if one.name != other.name {
        (number, one.name.clone(), other.name.clone())
    } else if one.expr != other.expr {
        (key("expr"), one.expr.clone(), other.expr.clone())
    } else if one.missing != other.missing {
        (key("missing"), one.missing.to_string(), other.missing.to_string())
    } else {
        (key("absence"), one.absence.to_string(), other.absence.to_string())
    })
}

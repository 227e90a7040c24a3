//! A feature as it is written down: a name, a PromQL expression, and what to do without a value.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A named PromQL expression. The same text runs on Portent's rings and on a server's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSpec {
    /// The name by which models, metrics and people know the feature.
    pub name: String,
    /// One value for each entity, or one for all of them.
    pub expr: String,
    /// What an entity gets that has no value.
    #[serde(default)]
    pub missing: Missing,
    /// What it is when an entity that used to have a value has none.
    #[serde(default)]
    pub absence: Absence,
}

impl FeatureSpec {
    /// A feature with the usual policies.
    #[must_use]
    pub fn new(name: impl Into<String>, expr: impl Into<String>) -> Self {
        let (missing, absence) = (Missing::default(), Absence::default());
        Self { name: name.into(), expr: expr.into(), missing, absence }
    }

    /// The same feature with another policy.
    #[must_use]
    pub fn or(mut self, missing: Missing) -> Self {
        self.missing = missing;
        self
    }

    /// The same feature with another policy for when it is gone.
    #[must_use]
    pub fn when_gone(mut self, absence: Absence) -> Self {
        self.absence = absence;
        self
    }
}

/// What it is when a feature that an entity used to have is gone. What the model is fed then is said
/// by [`Missing`]; the score is never made higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// Nothing: for what comes and goes by nature, such as a ratio that is undefined on an idle host.
    Ignore,
    /// A finding, and the entity has no score while it lasts: for what the score means nothing
    /// without.
    NoScore,
    /// A finding, and the entity is scored by what is left. The usual one: a collector that died is
    /// what nobody looks for, and it takes no score away.
    #[default]
    Anomalous,
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ignore => "ignore",
            Self::NoScore => "no_score",
            Self::Anomalous => "anomalous",
        })
    }
}

/// What an entity gets for a feature that has no finite value at a tick.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Missing {
    /// The feature is left out of the entity's error, as long as most others are there. A model
    /// that cannot do that (it has no input `mask`) gives the entity no score. Written `mask`.
    #[default]
    Mask,
    /// The entity gets no score. Written `skip`.
    Skip,
    /// The entity's previous value, while that is not older than the staleness limit; then as
    /// [`Missing::Skip`]. Written `hold`.
    Hold,
    /// This value: for things that a host may not have at all, such as swap. Written `fill 0`.
    Fill(f64),
    /// The feature's median in training, which makes it `fill VALUE` in the model's file. Written
    /// `fill median`.
    FillMedian,
}

/// Why a text is not a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a policy for missing values; write \"mask\", \"skip\", \"hold\", \"fill VALUE\" or \"fill median\""
)]
pub struct MissingError(String);

impl FromStr for Missing {
    type Err = MissingError;

    fn from_str(text: &str) -> Result<Self, MissingError> {
        let error = || MissingError(text.to_owned());
        match text.split_once(' ') {
            None if text == "mask" => Ok(Self::Mask),
            None if text == "skip" => Ok(Self::Skip),
            None if text == "hold" => Ok(Self::Hold),
            Some(("fill", "median")) => Ok(Self::FillMedian),
            Some(("fill", value)) => match value.trim().parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(Self::Fill(value)),
                _ => Err(error()),
            },
            _ => Err(error()),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mask => f.write_str("mask"),
            Self::Skip => f.write_str("skip"),
            Self::Hold => f.write_str("hold"),
            Self::Fill(value) => write!(f, "fill {value}"),
            Self::FillMedian => f.write_str("fill median"),
        }
    }
}

impl Serialize for Missing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Missing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Missing>) {
        assert_eq!(text.parse().ok(), expected, "{text:?}");
        if let Some(missing) = expected {
            assert_eq!(missing.to_string().parse(), Ok(missing));
        }
    }

    #[test]
    fn policies_read_and_print() {
        check("mask", Some(Missing::Mask));
        check("skip", Some(Missing::Skip));
        check("hold", Some(Missing::Hold));
        check("fill 0", Some(Missing::Fill(0.0)));
        check("fill -1.5", Some(Missing::Fill(-1.5)));
        check("fill median", Some(Missing::FillMedian));
        for bad in ["", "zero", "fill", "fill x", "fill NaN", "fill inf", "hold 5m", "Skip"] {
            check(bad, None);
        }
    }

    #[test]
    fn a_specification_round_trips_and_refuses_unknown_keys() {
        let spec = FeatureSpec::new("swap", "1 - a / b").or(Missing::Fill(0.0));
        let text = serde_json::to_string(&spec).expect("plain data");
        assert_eq!(serde_json::from_str::<FeatureSpec>(&text).expect("our own text"), spec);
        for absence in [Absence::Ignore, Absence::NoScore, Absence::Anomalous] {
            let text = format!(r#"{{"name":"a","expr":"b","absence":"{absence}"}}"#);
            let spec = serde_json::from_str::<FeatureSpec>(&text).expect("a policy");
            assert_eq!(spec, FeatureSpec::new("a", "b").when_gone(absence));
        }
        // A file from before there was such a policy.
        let before = serde_json::from_str::<FeatureSpec>(r#"{"name":"a","expr":"b"}"#);
        assert_eq!(before.expect("a feature").absence, Absence::Anomalous);
        let unknown = r#"{"name":"a","expr":"b","misssing":"hold"}"#;
        assert!(serde_json::from_str::<FeatureSpec>(unknown).is_err());
    }
}

//! What a model's file says of standing still: which of its features hardly ever do, and how long they
//! usually do at once. `crate::detect` makes findings of it.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::error::ArtifactError;
use crate::features::FeatureSpec;

/// What is usual of entities that stand still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StillSpec {
    /// The names of the features that take part: at most moments they are not what they were at the step
    /// before.
    pub features: Vec<String>,
    /// The longest that nearly all of these usually stand still at once, of the entity where that is longest:
    /// for entities of which the file does not remember it.
    ///
    /// # Units
    /// Steps at which nothing has moved since the one before.
    pub usual: u32,
}

impl StillSpec {
    /// Fewer features are no picture of an entity.
    pub const LEAST_FEATURES: usize = 3;

    /// Refuses what is not about a model's features.
    pub(super) fn check(&self, features: &[FeatureSpec]) -> Result<(), ArtifactError> {
        let names = &self.features;
        let invalid = |reason| Err(ArtifactError::Invalid { what: "still", reason });
        let known: HashSet<&String> = features.iter().map(|it| &it.name).collect();
        if let Some(name) = names.iter().find(|name| !known.contains(name)) {
            return invalid(format!("the model has no feature {name:?}"));
        }
        let mut seen = HashSet::with_capacity(names.len());
        if let Some(name) = names.iter().find(|name| !seen.insert(*name)) {
            return invalid(format!("{name:?} occurs twice"));
        }
        match names.len() >= Self::LEAST_FEATURES {
            true => Ok(()),
            false => invalid(format!("{} features say nothing of an entity", names.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &[&str], expected: &str) {
        let features = ["a", "b", "c", "d"].map(|name| FeatureSpec::new(name, "up"));
        let spec =
            StillSpec { features: names.iter().map(|it| (*it).to_owned()).collect(), usual: 0 };
        let found = spec.check(&features).err().map_or(String::new(), |it| it.to_string());
        assert_eq!(found, expected);
    }

    #[test]
    fn it_names_some_features_of_the_model_once() {
        check(&["d", "a", "c"], "");
        check(&["a", "b"], "still: 2 features say nothing of an entity");
        check(&["a", "b", "x"], "still: the model has no feature \"x\"");
        check(&["a", "b", "a"], "still: \"a\" occurs twice");
    }
}

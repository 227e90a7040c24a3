//! A feature's range: what its values were in training.

use serde::{Deserialize, Serialize};

use super::error::ArtifactError;

/// Where the values of a feature lay in training, but for the outermost thousandth on either side.
///
/// # Units
/// Those of the feature.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureRange {
    /// The least value that is inside.
    pub lower: f32,
    /// The largest.
    pub upper: f32,
}

impl FeatureRange {
    /// Whether a value lies inside.
    ///
    /// # NaN
    /// Does not.
    #[must_use]
    pub fn contains(self, value: f32) -> bool {
        (self.lower..=self.upper).contains(&value)
    }

    /// Refuses ranges that are not those of so many features.
    pub(super) fn check(ranges: &[Option<Self>], features: usize) -> Result<(), ArtifactError> {
        let invalid = |reason| Err(ArtifactError::Invalid { what: "ranges", reason });
        if ![0, features].contains(&ranges.len()) {
            return invalid(format!("there are {} for {features} features", ranges.len()));
        }
        for range in ranges.iter().flatten() {
            let FeatureRange { lower, upper } = range;
            if !(lower.is_finite() && upper.is_finite() && lower <= upper) {
                return invalid(format!("{lower} to {upper} is none"));
            }
        }
        Ok(())
    }
}

//! Medians: what `missing: fill median` stands for.
//!
//! In: a recording and the features. Out: the same features, of which those with that policy have
//! their median over the steps before the validation part, of all entities.

use crate::features::{FeatureSpec, Missing, Recording};
use crate::statistics;

/// Puts the median's value in its place. A feature without a single value before the validation part,
/// whose share of the steps is given, is masked instead.
pub(super) fn fill_in(recording: &Recording, features: &mut [FeatureSpec], validation_share: f64) {
    let steps = ((1.0 - validation_share) * recording.times_ms.len() as f64) as usize;
    for (column, feature) in features.iter_mut().enumerate() {
        if feature.missing == Missing::FillMedian {
            let mut values: Vec<f32> = Vec::new();
            for entity in &recording.entities {
                let before = entity.values.column(column);
                values.extend(before.iter().take(steps).filter(|value| value.is_finite()));
            }
            feature.missing = statistics::median(values).map_or(Missing::Mask, Missing::Fill);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::dataset::tests::recording;
    use super::*;

    const NAN: f32 = f32::NAN;

    #[test]
    fn a_median_is_of_all_entities_before_validation() {
        let one = [vec![5.0, 1.0], vec![NAN, 1.0], vec![1.0, 1.0], vec![9e9, 1.0]];
        let other = [vec![4.0, NAN], vec![f32::INFINITY, NAN], vec![2.0, NAN], vec![9e9, NAN]];
        let recording = recording(&[&one, &other]);
        let policies = [Missing::FillMedian, Missing::Skip];
        let mut features: Vec<FeatureSpec> =
            policies.iter().map(|policy| FeatureSpec::new("a", "b").or(*policy)).collect();
        fill_in(&recording, &mut features, 0.25);
        let found: Vec<Missing> = features.iter().map(|it| it.missing).collect();
        // Of 1, 2, 4 and 5: infinite values and those of the validation part do not count.
        assert_eq!(found, [Missing::Fill(3.0), Missing::Skip]);
    }

    #[test]
    fn without_a_value_there_is_no_median() {
        let rows = [vec![NAN], vec![NAN], vec![8.0], vec![8.0]];
        let mut features = [FeatureSpec::new("a", "b").or(Missing::FillMedian)];
        fill_in(&recording(&[&rows]), &mut features, 0.5);
        assert_eq!(features[0].missing, Missing::Mask);
    }
}

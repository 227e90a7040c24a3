//! Medians: the values that `missing: fill median` stands for.
//!
//! In: a recording and the features. Out: the same features; those with that policy have their median over
//! the usable rows of all entities. Values that were excluded, dropped, held or filled in do not count.

use super::{Dataset, DatasetError};
use crate::detect::DetectConfig;
use crate::features::{FeatureSpec, Missing, Recording};
use crate::statistics;

/// Puts the median's value in its place. A feature without a single value in these rows is masked
/// instead.
///
/// # Errors
/// When no row can be used.
pub fn fill_in(
    recording: &Recording,
    features: &mut [FeatureSpec],
    entity: &[String],
    global: &DetectConfig,
) -> Result<(), DatasetError> {
    if features.iter().all(|feature| feature.missing != Missing::FillMedian) {
        return Ok(());
    }
    // Any number will do: which rows there are does not depend on it.
    let filled: Vec<FeatureSpec> = (features.iter().cloned())
        .map(|feature| match feature.missing {
            Missing::FillMedian => feature.or(Missing::Fill(0.0)),
            _ => feature,
        })
        .collect();
    let dataset = Dataset::clean(recording.clone(), &filled, entity, global)?;
    let mut kept = dataset.entities.iter().peekable();
    let used: Vec<Vec<bool>> = (recording.entities.iter())
        .map(|entity| kept.next_if(|rows| rows.labels == entity.labels))
        .map(|rows| rows.map_or(Vec::new(), |rows| rows.usable.clone()))
        .collect();
    put(recording, &used, features);
    Ok(())
}

/// Puts the median of the steps that are used, by entity.
fn put(recording: &Recording, used: &[Vec<bool>], features: &mut [FeatureSpec]) {
    for (column, feature) in features.iter_mut().enumerate() {
        if feature.missing == Missing::FillMedian {
            let mut values: Vec<f32> = Vec::new();
            for (entity, used) in recording.entities.iter().zip(used) {
                let of_feature = entity.values.column(column);
                let there =
                    of_feature.iter().zip(used).filter(|(it, used)| **used && it.is_finite());
                values.extend(there.map(|(value, _)| *value));
            }
            feature.missing = statistics::median(values).map_or(Missing::Mask, Missing::Fill);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::recording;
    use super::*;

    const NAN: f32 = f32::NAN;

    fn filled(recording: &Recording) -> Missing {
        let mut features = ["a", "b"].map(|name| FeatureSpec::new(name, name));
        features[0].missing = Missing::FillMedian;
        fill_in(recording, &mut features, &[], &DetectConfig::default()).expect("enough rows");
        assert_eq!(features[1].missing, Missing::Mask);
        features[0].missing
    }

    #[test]
    fn a_median_is_of_all_entities_where_rows_are_used() {
        let one = [vec![5.0, 1.0], vec![NAN, 1.0], vec![1.0, 1.0], vec![9e9, 1.0]];
        let other = [vec![4.0, NAN], vec![f32::INFINITY, NAN], vec![2.0, NAN], vec![9e9, NAN]];
        let recording = recording(&[&one, &other]);
        let policies = [Missing::FillMedian, Missing::Skip];
        let mut features: Vec<FeatureSpec> =
            policies.iter().map(|policy| FeatureSpec::new("a", "b").or(*policy)).collect();
        let used = [vec![true, true, true, false], vec![true; 3]];
        put(&recording, &used, &mut features);
        let found: Vec<Missing> = features.iter().map(|it| it.missing).collect();
        // Of 1, 2, 4 and 5: infinite values and unused steps do not count.
        assert_eq!(found, [Missing::Fill(3.0), Missing::Skip]);
    }

    /// 47 and 48 by turns; an incident that is excluded, and the last part, are 1000.
    #[test]
    fn incidents_that_are_excluded_do_not_count() {
        const STEPS: usize = 200;
        let is_incident = |step: usize| (10..120).contains(&step);
        let value = |step: usize| match step {
            _ if is_incident(step) => 1_000.0,
            // Missing now and then: what is filled in for it is no value.
            _ if step.is_multiple_of(9) => NAN,
            _ => 47.0 + (step % 2) as f32,
        };
        let rows: Vec<Vec<f32>> = (0..STEPS).map(|step| vec![value(step), 1.0]).collect();
        let mut recording = recording(&[&rows]);
        recording.entities[0].excluded = (0..STEPS).map(is_incident).collect();
        // Of 90 steps 64 are fitted on, which end before step 185.
        let Missing::Fill(found) = filled(&recording) else { panic!("a value") };
        assert!((47.0..=48.0).contains(&found), "{found}");
        recording.entities[0].excluded.clear();
        assert_eq!(filled(&recording), Missing::Fill(1_000.0));
    }

    #[test]
    fn without_a_value_there_is_no_median() {
        let rows: Vec<Vec<f32>> = (0..100).map(|_| vec![NAN, 1.0]).collect();
        assert_eq!(filled(&recording(&[&rows])), Missing::Mask);
    }
}

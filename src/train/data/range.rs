//! Ranges: what values of each feature a model has been trained on.
//!
//! In: the dataset and the windows of the training part. Out: for each feature the range of the values
//! that entities measured themselves, for the model's file. Serving counts values outside of it:
//! a model says little about them, and if there are many, the fleet is not the one that it was trained on.

use super::{Dataset, WindowPosition};
use crate::model::FeatureRange;
use crate::statistics;

/// The share of values on either side that is left out of a range: so few that two in a thousand
/// outside are no drift, and so many that one spike in two weeks of minutes does not hide one.
const TAIL: f64 = 0.001;

/// Which cells of an entity's rows it measured itself, a bit for each.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OwnCells {
    features: usize,
    bits: Vec<u64>,
}

impl OwnCells {
    /// None yet.
    pub fn new(steps: usize, features: usize) -> Self {
        Self { features, bits: vec![0; (steps * features).div_ceil(64)] }
    }

    /// Notes one.
    pub fn mark(&mut self, step: usize, feature: usize) {
        let cell = step * self.features + feature;
        self.bits[cell / 64] |= 1 << (cell % 64);
    }

    /// Whether it is one.
    pub fn contains(&self, step: usize, feature: usize) -> bool {
        let cell = step * self.features + feature;
        self.bits.get(cell / 64).is_some_and(|bits| bits >> (cell % 64) & 1 == 1)
    }
}

/// The range of each feature at the newest steps of windows; none for what no entity measured itself.
pub fn ranges(dataset: &Dataset, places: &[WindowPosition]) -> Vec<Option<FeatureRange>> {
    let features = dataset.entities[0].values.ncols();
    let of_feature = |feature: usize| {
        let value = |place: &WindowPosition| {
            let (rows, step) = (&dataset.entities[place.entity as usize], place.step as usize);
            let value = rows.values[[step, feature]];
            (rows.own.contains(step, feature) && value.is_finite()).then_some(value)
        };
        range(places.iter().filter_map(value).collect())
    };
    (0..features).map(of_feature).collect()
}

/// The range without its tails: from one value that was there to another.
fn range(values: Vec<f32>) -> Option<FeatureRange> {
    let (lower, upper) = statistics::trimmed_range(values, TAIL)?;
    Some(FeatureRange { lower, upper })
}

#[cfg(test)]
mod tests {
    use super::super::tests::recording;
    use super::*;
    use crate::detect::DetectConfig;
    use crate::features::{FeatureSpec, Missing};

    #[track_caller]
    fn check(values: Vec<f32>, expected: Option<(f32, f32)>) {
        let found = range(values).map(|it| (it.lower, it.upper));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_range_is_without_its_tails() {
        check(vec![], None);
        check(vec![3.0], Some((3.0, 3.0)));
        check(vec![5.0, -1.0, 2.0], Some((-1.0, 5.0)));
        let many = |count: u16| (0..count).rev().map(f32::from).collect::<Vec<f32>>();
        check(many(1_000), Some((0.0, 999.0)));
        check(many(1_001), Some((1.0, 999.0)));
        check(many(10_001), Some((10.0, 9_990.0)));
    }

    #[test]
    fn only_what_was_measured_counts() {
        const NAN: f32 = f32::NAN;
        // Always there; filled in until it is there; never measured; the same for all.
        let rows: Vec<Vec<f32>> = [NAN, 4.0, 2.0, NAN, 3.0, 8.0]
            .into_iter()
            .map(|value| vec![1.0, value, NAN, 7.0])
            .collect();
        let policies = [Missing::Skip, Missing::Fill(-9.0), Missing::Fill(5.0), Missing::Skip];
        let feature =
            |(i, policy): (usize, &Missing)| FeatureSpec::new(format!("f{i}"), "x").or(*policy);
        let features: Vec<FeatureSpec> = policies.iter().enumerate().map(feature).collect();
        let mut recording = recording(&[&rows]);
        recording.own[3] = false;
        let dataset = Dataset::clean(recording, &features, &[], &DetectConfig::default())
            .expect("usable steps");
        // The last step is none of the training part.
        let places = dataset.windows(0, 5, 1);
        let found = ranges(&dataset, &places);
        let range = |lower, upper| Some(FeatureRange { lower, upper });
        assert_eq!(found, [range(1.0, 1.0), range(2.0, 4.0), None, None]);
    }
}

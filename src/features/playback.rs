//! A playback: recorded feature values that become matrices again, one step after the other.
//!
//! In: for each step the values of every entity, computed elsewhere from the same expressions.
//! Out: the matrix that serving would have had at that step, policies applied. What judges the
//! matrix of a live tick judges these in the same way.

use super::matrix::{EntityState, FeatureMatrix};
use super::policy::Policies;
use super::spec::FeatureSpec;
use crate::labels::Labels;

/// Recorded feature values that become matrices again.
#[derive(Debug)]
pub struct Playback {
    policies: Policies,
    matrix: FeatureMatrix,
}

impl Playback {
    /// For these features and entities; each entity keeps its place as its slot.
    #[must_use]
    pub fn new(specs: &[FeatureSpec], entities: &[Labels], can_mask: bool) -> Self {
        let mut matrix = FeatureMatrix::of(specs.len());
        matrix.resize(entities.len());
        matrix.labels.clone_from_slice(entities);
        let mut policies = Policies::new(specs, can_mask);
        policies.resize(entities.len());
        Self { policies, matrix }
    }

    /// The matrix of one step. `row` gives the values of an entity, or nothing when it was not
    /// there; values are held up to `hold_ms`.
    ///
    /// # NaN
    /// A value that is not finite is missing.
    pub fn step<'a>(
        &mut self,
        now_ms: i64,
        hold_ms: i64,
        row: impl Fn(usize) -> Option<&'a [f32]>,
    ) -> &FeatureMatrix {
        self.matrix.clear();
        for slot in 0..self.matrix.slots() {
            let Some(values) = row(slot) else {
                self.matrix.states[slot] = EntityState::Stale;
                continue;
            };
            for (feature, value) in values.iter().enumerate() {
                self.matrix.put(slot, feature, f64::from(*value));
            }
            self.matrix.newest_ms[slot] = Some(now_ms);
            self.policies.settle(&mut self.matrix, slot, now_ms, hold_ms);
        }
        &self.matrix
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Missing;

    #[track_caller]
    fn check(can_mask: bool, row: [f32; 4], expected: EntityState) {
        let specs = ["a", "b", "c", "d"].map(|name| FeatureSpec::new(name, name));
        let mut playback = Playback::new(&specs, &[Labels::empty()], can_mask);
        let matrix = playback.step(0, 0, |_| Some(&row));
        assert_eq!(matrix.state(0), expected, "{row:?}");
    }

    const NAN: f32 = f32::NAN;

    #[test]
    fn half_of_the_features_may_be_masked() {
        check(true, [1.0, 2.0, 3.0, 4.0], EntityState::Complete);
        check(true, [1.0, NAN, f32::INFINITY, 4.0], EntityState::Complete);
        check(true, [1.0, NAN, NAN, NAN], EntityState::Incomplete);
        check(false, [1.0, NAN, 3.0, 4.0], EntityState::Incomplete);
    }

    #[test]
    fn policies_act_as_in_serving() {
        let specs = [
            FeatureSpec::new("held", "a").or(Missing::Hold),
            FeatureSpec::new("filled", "b").or(Missing::Fill(-1.0)),
            FeatureSpec::new("needed", "c").or(Missing::Skip),
        ];
        let mut playback = Playback::new(&specs, &[Labels::empty()], true);
        let state = |matrix: &FeatureMatrix| (matrix.state(0), matrix.row(0).to_vec());
        playback.step(0, 20, |_| Some(&[5.0, 6.0, 7.0]));
        let (found, row) = state(playback.step(10, 20, |_| Some(&[NAN, NAN, 7.0])));
        assert_eq!((found, row), (EntityState::Complete, vec![5.0, -1.0, 7.0]));
        let (found, _) = state(playback.step(11, 20, |_| Some(&[1.0, 1.0, NAN])));
        assert_eq!(found, EntityState::Incomplete);
        let (found, _) = state(playback.step(31, 20, |_| Some(&[NAN, NAN, 7.0])));
        assert_eq!(found, EntityState::Incomplete, "held for longer than the limit");
        let (found, _) = state(playback.step(32, 20, |_| None));
        assert_eq!(found, EntityState::Stale);
    }
}

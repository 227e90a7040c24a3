//! A playback: recorded feature values that become matrices again, one step after the other.
//!
//! In: for each step the values of every entity, computed elsewhere from the same expressions, and
//! what is known of its samples. Out: the matrix that serving would have had at that step, policies
//! applied. What judges the matrix of a live tick judges these in the same way.

use super::freshness::Liveness;
use super::matrix::{EntityState, FeatureMatrix, Provenance};
use super::memory::CellMemory;
use super::parsed::Features;
use super::policy::Policies;
use super::rules::Rules;
use super::spec::FeatureSpec;
use crate::labels::Labels;

/// Recorded feature values that become matrices again.
#[derive(Debug)]
pub struct Playback {
    is_common: Vec<bool>,
    policies: Policies,
    matrix: FeatureMatrix,
}

/// What was recorded of an entity that was there at a step.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// By feature. A value that is not finite is missing.
    pub values: &'a [f32],
    /// The features that two elements claimed.
    pub ambiguous: &'a [usize],
    /// The features of which it is not known what they were.
    pub unknown: &'a [usize],
    /// What is known of its samples.
    pub liveness: Liveness,
}

impl<'a> Observed<'a> {
    /// A row of a table, in which nothing but values is told.
    #[must_use]
    pub fn row(values: &'a [f32], now_ms: i64) -> Self {
        Self { values, ambiguous: &[], unknown: &[], liveness: Liveness::row(now_ms) }
    }
}

impl Playback {
    /// Of what a server answered to these features. Each entity keeps its place as its slot.
    #[must_use]
    pub fn new(features: &Features, entities: &[Labels]) -> Self {
        Self::of_rules(features.rules(), features.can_mask(), entities)
    }

    /// Of a table with these columns, of which some may be the same for every entity, for a model
    /// that can do without some of them or cannot, and whose error does not depend on those of some
    /// names.
    #[must_use]
    pub fn of_columns(
        specs: &[FeatureSpec],
        entities: &[Labels],
        can_mask: bool,
        is_common: &[bool],
        weightless: &[String],
    ) -> Self {
        Self::of_rules(Rules::of_columns(specs, is_common, weightless), can_mask, entities)
    }

    fn of_rules(rules: Rules, can_mask: bool, entities: &[Labels]) -> Self {
        let mut matrix = FeatureMatrix::of(rules.list.len());
        matrix.resize(entities.len());
        matrix.labels.clone_from_slice(entities);
        let mut policies = Policies::new(rules.list, can_mask);
        policies.resize(entities.len());
        Self { is_common: rules.is_common, policies, matrix }
    }

    /// The matrix of one step. `row` gives what was recorded of an entity, or nothing when it was not
    /// there; values are held up to `hold_ms`.
    pub fn step<'a>(
        &mut self,
        now_ms: i64,
        hold_ms: i64,
        row: impl Fn(usize) -> Option<Observed<'a>>,
    ) -> &FeatureMatrix {
        self.matrix.clear();
        for slot in 0..self.matrix.slots() {
            let Some(observed) = row(slot) else {
                self.matrix.states[slot] = EntityState::Stale;
                continue;
            };
            for (feature, value) in observed.values.iter().enumerate() {
                let from =
                    if self.is_common[feature] { Provenance::Common } else { Provenance::Own };
                self.matrix.put(slot, feature, f64::from(*value), from);
            }
            for feature in observed.ambiguous {
                self.matrix.spoil(slot, *feature);
            }
            let times = (now_ms, hold_ms);
            let is_unknown = |feature| observed.unknown.contains(&feature);
            let liveness = observed.liveness;
            self.policies.settle(&mut self.matrix, slot, times, liveness, |_| false, is_unknown);
        }
        &self.matrix
    }

    /// What is remembered of an entity after the steps so far, by feature.
    #[must_use]
    pub fn memory(&self, slot: usize) -> Vec<CellMemory> {
        self.policies.memory(slot)
    }

    /// The matrix of one step that went through the policies before. `row` gives the values of an
    /// entity, or nothing when it could not be scored.
    pub fn settled<'a>(
        &mut self,
        now_ms: i64,
        row: impl Fn(usize) -> Option<&'a [f32]>,
    ) -> &FeatureMatrix {
        self.matrix.clear();
        for slot in 0..self.matrix.slots() {
            self.matrix.states[slot] = EntityState::Stale;
            if let Some(values) = row(slot) {
                self.matrix.states[slot] = EntityState::Complete;
                self.matrix.newest_ms[slot] = Some(now_ms);
                for (feature, value) in values.iter().enumerate() {
                    self.matrix.put(slot, feature, f64::from(*value), Provenance::Own);
                }
            }
        }
        &self.matrix
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{Absence, Missing};

    const NAN: f32 = f32::NAN;
    const INF: f32 = f32::INFINITY;

    fn playback(specs: &[FeatureSpec], can_mask: bool, common: &[usize]) -> Playback {
        let is_common: Vec<bool> = (0..specs.len()).map(|i| common.contains(&i)).collect();
        Playback::of_columns(specs, &[Labels::empty()], can_mask, &is_common, &["w".to_owned()])
    }

    #[track_caller]
    fn check(can_mask: bool, row: [f32; 4], expected: EntityState) {
        let specs = ["a", "b", "c", "d"].map(|name| FeatureSpec::new(name, name));
        let mut playback = playback(&specs, can_mask, &[]);
        let matrix = playback.step(0, 0, |_| Some(Observed::row(&row, 0)));
        assert_eq!(matrix.state(0), expected, "{row:?}");
    }

    #[test]
    fn half_of_the_features_may_be_masked() {
        check(true, [1.0, 2.0, 3.0, 4.0], EntityState::Complete);
        check(true, [1.0, NAN, INF, 4.0], EntityState::Complete);
        check(true, [1.0, NAN, NAN, NAN], EntityState::Incomplete);
        check(false, [1.0, NAN, 3.0, 4.0], EntityState::Incomplete);
    }

    /// The state and provenance of one row of features: two that may be masked, one filled, one held,
    /// one common, one without weight.
    #[track_caller]
    fn check_provenance(row: [f32; 6], state: EntityState, expected: [Provenance; 6]) {
        let specs = [
            FeatureSpec::new("a", "a"),
            FeatureSpec::new("b", "b"),
            FeatureSpec::new("filled", "f").or(Missing::Fill(0.0)),
            FeatureSpec::new("held", "h").or(Missing::Hold),
            FeatureSpec::new("clock", "hour()"),
            FeatureSpec::new("w", "w"),
        ];
        let mut playback = playback(&specs, true, &[4]);
        playback.step(0, 20, |_| Some(Observed::row(&[NAN, NAN, NAN, 8.0, 1.0, 1.0], 0)));
        let matrix = playback.step(10, 20, |_| Some(Observed::row(&row, 10)));
        assert_eq!((matrix.state(0), matrix.provenance(0)), (state, &expected[..]), "{row:?}");
        for (feature, from) in expected.into_iter().enumerate() {
            assert_eq!(matrix.counts()[feature][from as usize], 1);
            assert_eq!(matrix.row(0)[feature].is_finite(), from.has_value());
        }
    }

    #[test]
    fn only_what_was_measured_and_weighs_counts_towards_the_half() {
        use EntityState::{Complete, Incomplete};
        use Provenance::{Absent, Common, Filled, Held, Own};
        let all = [1.0; 6];
        check_provenance(all, Complete, [Own, Own, Own, Own, Common, Own]);
        // Two of four that weigh.
        let two = [1.0, 1.0, NAN, NAN, 1.0, NAN];
        check_provenance(two, Complete, [Own, Own, Filled, Held, Common, Absent]);
        // One, however much is filled, held, common or without weight.
        let one = [NAN, 1.0, NAN, NAN, 1.0, 1.0];
        check_provenance(one, Incomplete, [Absent, Own, Filled, Held, Common, Own]);
    }

    #[test]
    fn policies_act_as_in_serving() {
        let specs = [
            FeatureSpec::new("held", "a").or(Missing::Hold),
            FeatureSpec::new("filled", "b").or(Missing::Fill(-1.0)),
            FeatureSpec::new("needed", "c").or(Missing::Skip),
            FeatureSpec::new("other", "d"),
        ];
        let mut playback = playback(&specs, true, &[]);
        let state = |matrix: &FeatureMatrix| (matrix.state(0), matrix.row(0).to_vec());
        let row = |values| Some(Observed::row(values, 0));
        playback.step(0, 20, |_| row(&[5.0, NAN, 7.0, 1.0]));
        let (found, values) = state(playback.step(10, 20, |_| row(&[NAN, NAN, 7.0, 1.0])));
        assert_eq!((found, values), (EntityState::Complete, vec![5.0, -1.0, 7.0, 1.0]));
        let (found, _) = state(playback.step(11, 20, |_| row(&[1.0, 1.0, NAN, 1.0])));
        assert_eq!(found, EntityState::Incomplete);
        let (found, _) = state(playback.step(31, 20, |_| row(&[NAN, 1.0, 7.0, 1.0])));
        assert_eq!(found, EntityState::Incomplete, "held for longer than the limit");
        let (found, _) = state(playback.step(32, 20, |_| None));
        assert_eq!(found, EntityState::Stale);
    }

    /// For each step of three minutes whether the second feature is missing, and whether the entity is
    /// scored, when it was there ten times and then is not, as far as that is known.
    #[track_caller]
    fn check_absence(gone: Observed<'_>, expected: &[(bool, EntityState)]) {
        let missing = FeatureSpec::new("gone", "rate(b[2m])").when_gone(Absence::NoScore);
        let specs = [FeatureSpec::new("a", "a"), missing];
        let features = Features::parse(&specs, &["x".to_owned()]).expect("good").maskable(true);
        let mut playback = Playback::new(&features, &[Labels::empty()]);
        for step in 0..10 {
            let matrix = playback.step(step, 120_000, |_| Some(Observed::row(&[1.0, 1.0], 0)));
            assert!(matrix.missing().is_empty());
        }
        for (step, (is_missing, state)) in (1..).zip(expected) {
            let matrix = playback.step(step * 180_000, 120_000, |_| Some(gone));
            let cells: &[(usize, usize)] = if *is_missing { &[(0, 1)] } else { &[] };
            assert_eq!((matrix.missing(), matrix.state(0)), (cells, *state), "{step}");
        }
    }

    #[test]
    fn only_what_could_have_been_there_is_missing() {
        use EntityState::{Complete, Incomplete, Warming};
        let gone = Observed::row(&[1.0, NAN], 0);
        let two = [(false, Complete); 2];
        check_absence(gone, &[two[0], two[1], (true, Incomplete), (true, Incomplete)]);
        check_absence(Observed { unknown: &[1], ..gone }, &[(false, Complete); 9]);
        let ambiguous = Observed { ambiguous: &[1], ..gone };
        check_absence(ambiguous, &[two[0], two[1], (true, Incomplete)]);
        let uncovered = Liveness { covered: 0, ..gone.liveness };
        check_absence(Observed { liveness: uncovered, ..gone }, &[(false, Complete); 9]);
        let warming = Liveness { is_warming: true, ..gone.liveness };
        check_absence(Observed { liveness: warming, ..gone }, &[(false, Warming); 9]);
    }

    #[test]
    fn nothing_is_filled_in_for_what_vanished_or_is_ambiguous() {
        let filled = FeatureSpec::new("filled", "f").or(Missing::Fill(0.0));
        let specs = [FeatureSpec::new("a", "a"), filled];
        let mut playback = playback(&specs, true, &[]);
        let ambiguous = Observed { ambiguous: &[1], ..Observed::row(&[1.0, NAN], 0) };
        let provenance = |matrix: &FeatureMatrix| matrix.provenance(0)[1];
        assert_eq!(provenance(playback.step(0, 0, |_| Some(ambiguous))), Provenance::Ambiguous);
        let unknown = Observed { unknown: &[1], ..Observed::row(&[1.0, NAN], 0) };
        assert_eq!(provenance(playback.step(0, 0, |_| Some(unknown))), Provenance::Absent);
        let never = Observed::row(&[1.0, NAN], 0);
        assert_eq!(provenance(playback.step(1, 0, |_| Some(never))), Provenance::Filled);
        let once = Observed::row(&[1.0, 0.95], 0);
        assert_eq!(provenance(playback.step(2, 0, |_| Some(once))), Provenance::Own);
        let matrix = playback.step(3, 0, |_| Some(never));
        assert_eq!(
            (provenance(matrix), matrix.state(0)),
            (Provenance::Absent, EntityState::Complete)
        );
    }
}

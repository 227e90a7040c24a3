//! Feature values: what a model saw at its last ticks, for queries.
//!
//! Each snapshot has a copy, which shares the ticks with the model's own: readers cost the pipeline nothing.
//! In: the matrix of each tick. Out: series `portent:feature{feature, model, …entity labels}` with
//! a sample for each tick at which the entity was fresh and had a value. Where an entity has no
//! value any more there is a stale marker, as Prometheus writes one when a series ends. Values are
//! those that went into the model, including held and filled ones. An entity label with the
//! name of one of ours is kept under another name, see [`Labels::beside`].

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

use crate::duration::Duration;
use crate::features::{EntityState, FeatureMatrix};
use crate::labels::{Labels, METRIC_NAME};
use crate::matcher::Selector;
use crate::sample::{STALE_NAN_BITS, Sample};
use crate::series::{Excerpt, ExcerptError};

/// The metric name of feature values.
pub const FEATURE_METRIC: &str = "portent:feature";

/// The labels of feature values that are not the entity's.
const OWN_LABELS: [&str; 3] = [METRIC_NAME, "feature", "model"];

/// One tick.
#[derive(Debug)]
struct Tick {
    time_ms: i64,
    /// Those that were fresh. Shared by ticks at which they were the same.
    entities: Arc<[Labels]>,
    /// `[entity, feature]`; NaN where there is no value.
    values: Vec<f64>,
}

/// Feature values of one model at its last ticks.
#[derive(Debug, Clone)]
pub struct FeatureValues {
    model: String,
    feature_names: Arc<[String]>,
    span_ms: i64,
    /// Oldest first.
    ticks: VecDeque<Arc<Tick>>,
}

impl FeatureValues {
    /// An empty one, of ticks in the last `span_ms`.
    pub(super) fn new(model: &str, feature_names: &Arc<[String]>, span_ms: i64) -> Self {
        Self {
            model: model.to_owned(),
            feature_names: Arc::clone(feature_names),
            span_ms,
            ticks: VecDeque::new(),
        }
    }

    /// The model's name.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Ticks of the last `span_ms` are kept from now on.
    pub(super) fn set_span(&mut self, span_ms: i64) {
        self.span_ms = span_ms;
    }

    /// Takes in what the model saw.
    pub(super) fn push(&mut self, matrix: &FeatureMatrix, now_ms: i64) {
        // Time may have been set back: what is later than now is no past.
        while self.ticks.back().is_some_and(|tick| tick.time_ms >= now_ms) {
            self.ticks.pop_back();
        }
        let oldest_ms = now_ms.saturating_sub(self.span_ms);
        while self.ticks.front().is_some_and(|tick| tick.time_ms <= oldest_ms) {
            self.ticks.pop_front();
        }
        let last = self.ticks.back().map(|tick| &tick.entities);
        let entities: Arc<[Labels]> = match last.filter(|last| are_in(last, matrix)) {
            Some(same) => Arc::clone(same),
            None => fresh(matrix).map(|slot| matrix.labels(slot).clone()).collect(),
        };
        let mut values = Vec::with_capacity(entities.len() * self.feature_names.len());
        fresh(matrix).for_each(|slot| values.extend_from_slice(matrix.row(slot)));
        self.ticks.push_back(Arc::new(Tick { time_ms: now_ms, entities, values }));
    }

    /// Memory for the values.
    pub(super) fn bytes(&self) -> usize {
        self.ticks.iter().map(|tick| tick.values.capacity() * size_of::<f64>()).sum()
    }

    /// Adds the series that an excerpt wants to it.
    ///
    /// # Errors
    /// When a limit is exceeded or a range is longer than what is kept.
    pub fn copy_into(&self, excerpt: &mut Excerpt) -> Result<(), ExcerptError> {
        let wanted = excerpt.wanted();
        let selectors: Vec<&Selector> = wanted.iter().map(|wanted| &wanted.selector).collect();
        self.each(&selectors, |series| {
            let mut range: Option<(i64, i64)> = None;
            for wanted in wanted.iter().filter(|wanted| wanted.selector.matches(&series.labels)) {
                if wanted.lookback_ms > self.span_ms {
                    return Err(ExcerptError::Retention {
                        series: series.labels.clone(),
                        wanted: Duration::from_ms(wanted.lookback_ms),
                        kept: Duration::from_ms(self.span_ms),
                    });
                }
                let (from_ms, to_ms) = range.unwrap_or((wanted.from_ms, wanted.to_ms));
                range = Some((from_ms.min(wanted.from_ms), to_ms.max(wanted.to_ms)));
            }
            match range {
                Some((from_ms, to_ms)) => {
                    let mut samples = self.samples(series);
                    samples.retain(|sample| {
                        sample.timestamp_ms > from_ms && sample.timestamp_ms <= to_ms
                    });
                    excerpt.add(&series.labels, &samples)
                }
                None => Ok(()),
            }
        })
    }

    /// The label sets of series that satisfy any of the selectors, or of all when there is none, and have
    /// a sample in `[from_ms, to_ms]`; a stale marker is none.
    #[must_use]
    pub fn series_in(&self, selectors: &[Selector], from_ms: i64, to_ms: i64) -> Vec<Labels> {
        let mut found = Vec::new();
        let all = [Selector::new(Vec::new())];
        let selectors = if selectors.is_empty() { &all } else { selectors };
        let selectors: Vec<&Selector> = selectors.iter().collect();
        let seen = |sample: &Sample| {
            (from_ms..=to_ms).contains(&sample.timestamp_ms) && !sample.is_stale()
        };
        let result: Result<(), Infallible> = self.each(&selectors, |series| {
            if self.samples(series).iter().any(seen) {
                found.push(series.labels.clone());
            }
            Ok(())
        });
        match result {
            Ok(()) => found,
        }
    }

    /// Calls back with every series that satisfies one of the selectors.
    fn each<E>(
        &self,
        selectors: &[&Selector],
        mut visit: impl FnMut(&FeatureSeries) -> Result<(), E>,
    ) -> Result<(), E> {
        let features: Vec<usize> = (0..self.feature_names.len())
            .filter(|feature| {
                let own = self.own_labels(*feature);
                selectors.iter().any(|selector| may_match(selector, own))
            })
            .collect();
        if features.is_empty() {
            return Ok(());
        }
        for (entity, rows) in self.rows(selectors) {
            for &feature in &features {
                let labels = self.labels(entity, feature);
                if selectors.iter().any(|selector| selector.matches(&labels)) {
                    visit(&FeatureSeries { labels, feature, rows: &rows })?;
                }
            }
        }
        Ok(())
    }

    /// For each entity of any tick that a selector may hold for, its row at each tick.
    fn rows(&self, selectors: &[&Selector]) -> BTreeMap<&Labels, Vec<Option<usize>>> {
        let mut rows: BTreeMap<&Labels, Vec<Option<usize>>> = BTreeMap::new();
        let mut first = 0;
        // Ticks with the same entities at once: most are.
        while let Some(entities) = self.ticks.get(first).map(|tick| &tick.entities) {
            let same = self.ticks.range(first..);
            let count = same.take_while(|it| Arc::ptr_eq(&it.entities, entities)).count();
            for (row, entity) in entities.iter().enumerate() {
                if selectors.iter().any(|selector| may_be_of(selector, entity)) {
                    let none = || vec![None; self.ticks.len()];
                    rows.entry(entity).or_insert_with(none)[first..first + count].fill(Some(row));
                }
            }
            first += count;
        }
        rows
    }

    fn own_labels(&self, feature: usize) -> [(&str, &str); 3] {
        [
            (METRIC_NAME, FEATURE_METRIC),
            ("feature", &self.feature_names[feature]),
            ("model", &self.model),
        ]
    }

    fn labels(&self, entity: &Labels, feature: usize) -> Labels {
        let own = self.own_labels(feature);
        let own_pairs = own.iter().map(|(name, value)| (Cow::Borrowed(*name), *value));
        Labels::from_pairs(entity.beside(&own).chain(own_pairs)).expect("names that differ")
    }

    /// All samples of a series.
    fn samples(&self, series: &FeatureSeries) -> Vec<Sample> {
        let mut samples: Vec<Sample> = Vec::new();
        for (tick, row) in self.ticks.iter().zip(series.rows) {
            let cell = row.map(|row| row * self.feature_names.len() + series.feature);
            let value = cell.map_or(f64::NAN, |cell| tick.values[cell]);
            if !value.is_nan() {
                samples.push(Sample::new(tick.time_ms, value));
            } else if samples.last().is_some_and(|last| !last.is_stale()) {
                samples.push(Sample::new(tick.time_ms, f64::from_bits(STALE_NAN_BITS)));
            }
        }
        samples
    }
}

/// One feature of one entity.
struct FeatureSeries<'a> {
    labels: Labels,
    feature: usize,
    /// Of its entity at each tick.
    rows: &'a [Option<usize>],
}

/// The slots of entities that have values.
fn fresh(matrix: &FeatureMatrix) -> impl Iterator<Item = usize> + '_ {
    let is_fresh = |state| match state {
        EntityState::Complete | EntityState::Incomplete | EntityState::Warming => true,
        EntityState::Unknown | EntityState::Stale => false,
    };
    (0..matrix.slots()).filter(move |slot| is_fresh(matrix.state(*slot)))
}

/// Whether these are the entities of the matrix that have values, in its order. What the matrix tells of
/// slots that changed hands since its last evaluation is not enough: the last tick that is kept may be an
/// earlier one.
fn are_in(entities: &[Labels], matrix: &FeatureMatrix) -> bool {
    let mut slots = fresh(matrix);
    let same = |kept: &Labels| slots.next().is_some_and(|slot| kept.is_same(matrix.labels(slot)));
    entities.iter().all(same) && slots.next().is_none()
}

/// Whether a selector may hold for feature values of an entity.
fn may_be_of(selector: &Selector, entity: &Labels) -> bool {
    // Where the entity's labels are called as ours, they have other names in its series.
    let is_renamed = OWN_LABELS.iter().any(|name| !entity.get(name).is_empty());
    is_renamed
        || selector.matchers().iter().all(|matcher| {
            OWN_LABELS.contains(&matcher.name()) || matcher.matches(entity.get(matcher.name()))
        })
}

/// Whether a selector holds for these labels, whatever the others are.
fn may_match(selector: &Selector, labels: [(&str, &str); 3]) -> bool {
    selector.matchers().iter().all(|matcher| {
        let value = labels.iter().find(|(name, _)| *name == matcher.name());
        value.is_none_or(|(_, value)| matcher.matches(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{FeatureSet, FeatureSpec, Features};
    use crate::matcher::{MatchOp, Matcher};
    use crate::sample::{Batch, BatchSeries};
    use crate::series::{StorageConfig, Store};

    const NOW: i64 = 1_700_000_000_000;
    const MINUTE: i64 = 60_000;

    /// How a stale marker is written in what is expected.
    const ENDED: f64 = -1.0;

    struct World {
        store: Store,
        set: FeatureSet,
        history: FeatureValues,
    }

    fn world(entity: &[&str]) -> World {
        let entity: Vec<String> = entity.iter().map(|name| (*name).to_owned()).collect();
        let specs = [FeatureSpec::new("load", "load1")];
        let mut store = Store::new(StorageConfig::default());
        let set = Features::parse(&specs, &entity).expect("good features").bind(&mut store);
        let history = FeatureValues::new("m", &["load".to_owned()].into(), 120 * MINUTE);
        World { store, set, history }
    }

    impl World {
        fn push(&mut self, entity: &[(&str, &str)], minute: i64, value: f64) {
            let pairs = entity.iter().copied().chain([(METRIC_NAME, "load1")]);
            let labels = Labels::from_pairs(pairs).expect("distinct names");
            let now_ms = NOW + minute * MINUTE;
            let samples = vec![Sample::new(now_ms, value)];
            let batch = Batch::of(vec![BatchSeries::new(labels, samples)]);
            assert_eq!(self.store.append(now_ms, &batch).stored, 1);
        }

        fn tick(&mut self, minute: i64) {
            let now_ms = NOW + minute * MINUTE;
            self.store.evict(now_ms);
            self.history.push(self.set.eval(&self.store, now_ms, 2 * MINUTE), now_ms);
        }

        /// Every series with its samples, by minute.
        #[track_caller]
        fn check(&self, expected: &[(&str, &[(i64, f64)])]) {
            let name = Matcher::new(METRIC_NAME, MatchOp::Equal, FEATURE_METRIC);
            let selector = Selector::new(vec![name.expect("no pattern to compile")]);
            let mut found = Vec::new();
            let all: Result<(), Infallible> = self.history.each(&[&selector], |series| {
                let samples = self.history.samples(series).into_iter().map(|sample| {
                    let value = if sample.is_stale() { ENDED } else { sample.value };
                    ((sample.timestamp_ms - NOW) / MINUTE, value)
                });
                found.push((series.labels.to_string(), samples.collect::<Vec<_>>()));
                Ok(())
            });
            assert_eq!(all, Ok(()));
            found.retain(|(_, samples)| !samples.is_empty());
            let expected: Vec<_> = expected
                .iter()
                .map(|(labels, samples)| (format!("portent:feature{{{labels}}}"), samples.to_vec()))
                .collect();
            assert_eq!(found, expected);
        }
    }

    const A: &str = r#"feature="load", instance="a", model="m""#;
    const B: &str = r#"feature="load", instance="b", model="m""#;

    #[test]
    fn the_next_in_a_slot_is_not_taken_for_the_last_when_time_is_set_back() {
        let mut world = world(&["instance"]);
        world.push(&[("instance", "a")], 0, 1.0);
        world.tick(0);
        world.tick(10);
        // An hour later its slot is another's.
        world.push(&[("instance", "b")], 72, 2.0);
        world.tick(72);
        assert_eq!(world.set.matrix().slots(), 1);
        world.check(&[(A, &[(0, 1.0), (10, ENDED)]), (B, &[(72, 2.0)])]);
        world.push(&[("instance", "b")], 71, 3.0);
        world.tick(71);
        world.check(&[(A, &[(0, 1.0), (10, ENDED)]), (B, &[(71, 3.0)])]);
    }

    #[test]
    fn who_comes_back_to_another_slot_is_not_looked_for_in_the_old_one() {
        let mut world = world(&["instance"]);
        world.push(&[("instance", "b")], 0, 1.0);
        world.push(&[("instance", "a")], 0, 2.0);
        world.tick(0);
        world.push(&[("instance", "b")], 5, 3.0);
        world.tick(5);
        world.tick(7);
        world.tick(12);
        // Both are forgotten after an hour.
        world.push(&[("instance", "a")], 73, 4.0);
        world.tick(73);
        assert_eq!(world.set.matrix().born(), [0], "b had it");
        world.push(&[("instance", "b")], 74, 5.0);
        world.push(&[("instance", "a")], 74, 6.0);
        world.tick(74);
        world.check(&[
            (A, &[(0, 2.0), (5, ENDED), (73, 4.0), (74, 6.0)]),
            (B, &[(0, 1.0), (5, 3.0), (7, ENDED), (74, 5.0)]),
        ]);
    }

    #[test]
    fn who_is_away_has_no_value_until_it_returns() {
        let mut world = world(&["instance"]);
        world.push(&[("instance", "a")], 0, 1.0);
        world.tick(0);
        world.tick(10);
        world.push(&[("instance", "b")], 20, 2.0);
        world.tick(20);
        world.push(&[("instance", "a")], 30, 3.0);
        world.tick(30);
        world.check(&[(A, &[(0, 1.0), (10, ENDED), (30, 3.0)]), (B, &[(20, 2.0), (30, ENDED)])]);
    }

    /// What is looked through first leaves out nothing that a selector holds for.
    #[test]
    fn a_selector_finds_what_all_series_would() {
        for entity in [&["instance", "job"][..], &["instance", "feature"]] {
            let mut world = world(entity);
            for host in ["a", "b", "ab"] {
                let labels = [("instance", host), (entity[1], "load")];
                world.push(&labels, 0, 1.0);
            }
            world.tick(0);
            let found = |selectors: &[Selector]| world.history.series_in(selectors, NOW, NOW);
            let every = found(&[]);
            assert_eq!(every.len(), 3);
            for (name, op, value, expected) in [
                ("instance", MatchOp::Equal, "a", 1),
                ("instance", MatchOp::NotEqual, "a", 2),
                ("instance", MatchOp::Regex, "a.*", 2),
                ("job", MatchOp::Equal, "", if entity[1] == "job" { 0 } else { 3 }),
                ("feature", MatchOp::Equal, "load", 3),
                ("feature", MatchOp::Equal, "else", 0),
                (
                    "exported_feature",
                    MatchOp::Equal,
                    "load",
                    if entity[1] == "job" { 0 } else { 3 },
                ),
                ("model", MatchOp::NotEqual, "m", 0),
            ] {
                let matcher = Matcher::new(name, op, value).expect("a good pattern");
                let selector = Selector::new(vec![matcher]);
                let right: Vec<Labels> =
                    every.iter().filter(|it| selector.matches(it)).cloned().collect();
                assert_eq!(found(&[selector]), right, "{name} {op:?} {value:?} of {entity:?}");
                assert_eq!(right.len(), expected, "{name} {op:?} {value:?} of {entity:?}");
            }
        }
    }

    #[test]
    fn labels_named_as_ours_still_tell_hosts_apart() {
        let mut world = world(&["model", "feature", "exported_feature"]);
        for (i, model) in ["T1000", "T800"].into_iter().enumerate() {
            let entity = [("model", model), ("feature", "f"), ("exported_feature", "e")];
            world.push(&entity, 0, i as f64);
        }
        world.tick(0);
        let labels = |model| {
            format!(
                r#"exported_exported_feature="f", exported_feature="e", exported_model="{model}", feature="load", model="m""#
            )
        };
        world.check(&[(&labels("T1000"), &[(0, 0.0)]), (&labels("T800"), &[(0, 1.0)])]);
    }
}

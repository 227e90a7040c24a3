//! Exclusions: steps that are known not to be normal, such as incidents and maintenance.
//!
//! In: ranges of time, and the results of queries. Out: for each entity, which steps are excluded. A result
//! excludes the entities that have the same values of the entity labels it has; one without any excludes
//! all. Its value does not matter, as in an alert rule. A query whose results fit no entity is logged, as it
//! is probably a mistake.

use std::collections::{BTreeMap, HashMap};

use crate::episodes::Timeline;
use crate::features::{EntityRecording, Recording};
use crate::history::error::HistoryError;
use crate::history::marks::Incident;
use crate::history::question::query::Range;
use crate::labels::Labels;

/// How many steps apart two results of an incident may be: one step without a result, as where an evaluation
/// of the rule was missed, is no end.
const BRIDGED_STEPS: i64 = 2;

/// The steps that results of queries exclude, by the entity labels they have.
#[derive(Default)]
pub(super) struct Excluded {
    by_labels: HashMap<Labels, Vec<bool>>,
    /// Of each query that has results.
    results: BTreeMap<String, Results>,
}

/// Whom the results of one query are about.
#[derive(Default)]
struct Results {
    /// By their entity labels, one of all labels.
    labels: HashMap<Labels, Labels>,
    /// Whether one was about somebody who is left out of the sample, it may be.
    may_fit_others: bool,
}

impl Excluded {
    /// The steps of one result of which the entity labels are these. Holds at most
    /// `max_values` steps over all sets of labels.
    pub fn add(
        &mut self,
        labels: Labels,
        steps: impl Iterator<Item = usize>,
        all_steps: usize,
        max_values: usize,
    ) -> Result<(), HistoryError> {
        let sets = self.by_labels.len() + usize::from(!self.by_labels.contains_key(&labels));
        if sets.saturating_mul(all_steps) > max_values {
            return Err(HistoryError::TooMuch { entities: sets, steps: all_steps, features: 1 });
        }
        let excluded = self.by_labels.entry(labels).or_insert_with(|| vec![false; all_steps]);
        steps.for_each(|step| excluded[step] = true);
        Ok(())
    }

    /// Takes note of a result's entity labels, and of all its labels.
    pub fn note(&mut self, query: &str, labels: &Labels, all: &Labels) {
        let results = self.results_of(query);
        if !results.labels.contains_key(labels) {
            results.labels.insert(labels.clone(), all.clone());
        }
    }

    /// Takes note of a result that is about nobody in the sample.
    pub fn note_other(&mut self, query: &str) {
        self.results_of(query).may_fit_others = true;
    }

    fn results_of(&mut self, query: &str) -> &mut Results {
        // Mostly there: a query has many results.
        if !self.results.contains_key(query) {
            self.results.insert(query.to_owned(), Results::default());
        }
        self.results.get_mut(query).expect("it is there now")
    }

    /// Says in the log which queries exclude nothing, as they are about others.
    pub fn tell(&self, entities: &[EntityRecording]) {
        let entity = entities.first().map(|it| it.labels.to_string()).unwrap_or_default();
        for (query, labels) in self.unfit(entities) {
            tracing::warn!(
                query,
                %labels,
                entity,
                "an exclusion has results but matches no entity, so that it excludes nothing: \
                 give its results the entity labels' values, or none of those labels to exclude \
                 all entities"
            );
        }
    }

    /// The queries that have results of which none agrees with any entity, each with the labels of one.
    fn unfit(&self, entities: &[EntityRecording]) -> Vec<(&str, &Labels)> {
        let fits = |labels: &Labels| entities.iter().any(|it| agrees(&it.labels, labels));
        let unfit = self
            .results
            .iter()
            .filter(|(_, results)| !results.may_fit_others && !results.labels.keys().any(fits));
        unfit
            .filter_map(|(query, results)| Some((query.as_str(), results.labels.values().min()?)))
            .collect()
    }

    /// The steps of each set of labels as incidents, in order of time. Steps of which at most one lies
    /// between are of one.
    pub fn incidents(self, times_ms: &[i64], step_ms: i64) -> Vec<Incident> {
        let line = Timeline { times_ms, reach_ms: step_ms.saturating_mul(BRIDGED_STEPS) };
        let mut incidents = Vec::new();
        for (owner, steps) in self.by_labels {
            incidents.extend(line.episodes(|at| steps[at]).into_iter().map(|run| Incident {
                owner: owner.clone(),
                start_ms: times_ms[run.first],
                end_ms: times_ms[run.last],
            }));
        }
        incidents.sort_by_cached_key(|it| (it.start_ms, it.end_ms, it.owner.to_string()));
        incidents
    }

    /// Marks the steps of every entity that agrees.
    pub fn mark(&self, entities: &mut [EntityRecording]) {
        for (labels, steps) in &self.by_labels {
            for entity in entities.iter_mut().filter(|it| agrees(&it.labels, labels)) {
                mark(entity, steps.iter().copied());
            }
        }
    }
}

/// Whether an entity has these values, those of its labels that are named.
pub(super) fn agrees(entity: &Labels, labels: &Labels) -> bool {
    labels.iter().all(|(name, value)| entity.get(name) == value)
}

/// Marks the steps within ranges, for every entity.
pub(crate) fn mark_ranges(recording: &mut Recording, ranges: &[Range]) {
    let within = |time_ms: &i64| ranges.iter().any(|it| it.contains(*time_ms));
    let steps: Vec<bool> = recording.times_ms.iter().map(within).collect();
    for entity in &mut recording.entities {
        mark(entity, steps.iter().copied());
    }
}

fn mark(entity: &mut EntityRecording, steps: impl ExactSizeIterator<Item = bool> + Clone) {
    if !steps.clone().any(|it| it) {
        return;
    }
    entity.excluded.resize(steps.len(), false);
    entity.excluded.iter_mut().zip(steps).for_each(|(excluded, it)| *excluded |= it);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).expect("labels")
    }

    fn entities() -> Vec<EntityRecording> {
        [("a", "1"), ("a", "2"), ("b", "1")]
            .map(|(job, instance)| {
                let labels = labels(&[("job", job), ("instance", instance)]);
                EntityRecording::new(labels, Array2::zeros((3, 1)))
            })
            .to_vec()
    }

    #[track_caller]
    fn check(results: &[(&[(&str, &str)], usize)], expected: [&[usize]; 3]) {
        let mut excluded = Excluded::default();
        for (pairs, step) in results {
            let labels = labels(pairs).filtered(|name| ["job", "instance"].contains(&name));
            excluded.add(labels, std::iter::once(*step), 3, 9).expect("few");
        }
        let mut entities = entities();
        excluded.mark(&mut entities);
        for (entity, expected) in entities.iter().zip(expected) {
            let found: Vec<_> = (0..3).filter(|&step| entity.is_excluded(step)).collect();
            assert_eq!(found, expected, "{}", entity.labels);
        }
    }

    #[test]
    fn a_result_excludes_the_entities_that_agree() {
        check(&[], [&[], &[], &[]]);
        let alert = ("alertname", "Down");
        check(&[(&[alert], 1)], [&[1], &[1], &[1]]);
        check(&[(&[alert, ("job", "a")], 1)], [&[1], &[1], &[]]);
        check(&[(&[("instance", "1")], 0)], [&[0], &[], &[0]]);
        check(&[(&[("instance", "1"), ("job", "b")], 2)], [&[], &[], &[2]]);
        check(&[(&[("job", "c")], 2)], [&[], &[], &[]]);
        check(&[(&[("job", "a")], 2), (&[("instance", "2")], 0)], [&[2], &[0, 2], &[]]);
    }

    #[test]
    fn results_that_are_two_steps_apart_are_one_incident() {
        let mut excluded = Excluded::default();
        let a = labels(&[("job", "a")]);
        for (of, steps) in [(&a, vec![0, 2, 5, 8]), (&Labels::empty(), vec![4, 5, 6, 7])] {
            excluded.add(of.clone(), steps.into_iter(), 9, 18).expect("few");
        }
        // A pause lies before the last step.
        let times_ms: Vec<i64> = (0..8).map(|step| step * 10).chain([200]).collect();
        let incident =
            |owner: &Labels, start_ms, end_ms| Incident { owner: owner.clone(), start_ms, end_ms };
        let expected = [
            incident(&a, 0, 20),
            incident(&Labels::empty(), 40, 70),
            incident(&a, 50, 50),
            incident(&a, 200, 200),
        ];
        assert_eq!(excluded.incidents(&times_ms, 10), expected);
    }

    #[test]
    fn queries_that_fit_nobody_are_named() {
        let mut excluded = Excluded::default();
        let mut note = |query: &str, pairs: &[(&str, &str)]| {
            let all = labels(pairs);
            let own = all.filtered(|name| ["job", "instance"].contains(&name));
            excluded.note(query, &own, &all);
        };
        note("everyone", &[("alertname", "A")]);
        note("one of two", &[("job", "a")]);
        note("one of two", &[("job", "node")]);
        note("nobody", &[("alertname", "B"), ("instance", "2:9100")]);
        note("nobody", &[("alertname", "A"), ("instance", "1:9100")]);
        note("in the sample or not", &[("job", "c")]);
        excluded.note_other("in the sample or not");
        excluded.note_other("others");
        let first = labels(&[("alertname", "A"), ("instance", "1:9100")]);
        assert_eq!(excluded.unfit(&entities()), [("nobody", &first)]);
    }

    #[test]
    fn many_sets_of_labels_are_too_much() {
        let mut excluded = Excluded::default();
        let mut add = |job: &str| excluded.add(labels(&[("job", job)]), std::iter::empty(), 3, 6);
        assert!(add("a").is_ok() && add("b").is_ok() && add("a").is_ok());
        assert!(matches!(add("c"), Err(HistoryError::TooMuch { entities: 3, .. })));
    }

    #[test]
    fn ranges_include_both_ends() {
        let mut recording = Recording::new(vec![0, 10, 25], 10, vec![true], entities());
        mark_ranges(&mut recording, &[Range { start_ms: 1, end_ms: 9 }]);
        assert!(recording.entities.iter().all(|it| it.excluded.is_empty()));
        let ranges = [Range { start_ms: 10, end_ms: 10 }, Range { start_ms: 20, end_ms: 25 }];
        mark_ranges(&mut recording, &ranges);
        assert_eq!(recording.entities[2].excluded, [false, true, true]);
        assert!(!recording.is_all_excluded());
        mark_ranges(&mut recording, &[Range { start_ms: 0, end_ms: 3 }]);
        assert!(recording.is_all_excluded());
    }
}

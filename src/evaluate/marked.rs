//! Marked: the steps of a backtest with their labels, and the incidents by their steps.
//!
//! In: a backtest and [`Marks`]. Out: for each entity and step whether it was anomalous, was normal, or has no
//! label; the incidents that entities of the backtest had; and a sentence for everything that is not judged,
//! with an example. A label of a single time belongs to the nearest step within a quarter of a step. An incident
//! covers the steps from its start to its end; one that lies between two steps covers the nearest. Outside of
//! incidents everything was normal.
//!
//! A table has one host without a name: all labels belong to it.

use super::backtest::Backtest;
use crate::duration::Duration;
use crate::episodes::{Run, Timeline};
use crate::history::{Incident, LabelledSteps, Marks};
use crate::labels::Labels;
use crate::timestamp::format_ms;

/// How many hosts are named in a sentence.
const NAMED: usize = 3;

/// Why nothing can be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarkError {
    /// Labels of several hosts, where one has no name.
    #[error(
        "the history is of one host without a name, and the labels are of several ({0}): leave \
         only those of one"
    )]
    Nameless(String),
    /// Labels of others alone.
    #[error("the labels are of hosts that the history does not have: {labels}; it has {history}")]
    Strangers {
        /// Whose labels.
        labels: String,
        /// Whose history.
        history: String,
    },
    /// No label is of a step.
    #[error("no label has the time of any step of the history{0}")]
    OffSteps(String),
    /// All incidents are of other times.
    #[error("no incident lies within the history, which is from {history}: {labels}")]
    Outside {
        /// From when to when the history is.
        history: String,
        /// How many incidents, and the first one.
        labels: String,
    },
}

/// A backtest's steps with their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Marked {
    /// By entity and step: whether it was anomalous; nothing where no label tells.
    pub by_entity: Vec<Vec<Option<bool>>>,
    /// In order of time.
    pub incidents: Vec<MarkedIncident>,
    /// Sentences about what is not judged, or not as it is written.
    pub notes: Vec<String>,
}

/// An incident that some entities had.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkedIncident {
    /// What was marked.
    pub incident: Incident,
    /// Whose steps they are.
    pub entities: Vec<usize>,
    /// Its steps.
    pub steps: Run,
}

/// Those whom labels are about.
struct Whose<'a> {
    backtest: &'a Backtest,
    /// Entities that were asked to be left out: what is marked of them is no mistake.
    left_out: &'a [Labels],
    /// Owners who are nobody.
    strangers: Vec<&'a Labels>,
}

impl<'a> Whose<'a> {
    /// The entities with these labels.
    fn of(&mut self, owner: &'a Labels) -> Vec<usize> {
        let agrees = |labels: &Labels| {
            labels.is_empty() || owner.iter().all(|(name, value)| labels.get(name) == value)
        };
        let entities = self.backtest.entities.iter().enumerate();
        let found: Vec<usize> =
            entities.filter(|(_, it)| agrees(&it.labels)).map(|(at, _)| at).collect();
        if found.is_empty() && !self.left_out.iter().any(agrees) {
            self.strangers.push(owner);
        }
        found
    }

    /// Owners who are nobody, each once, some of them by name.
    fn strangers(&self) -> String {
        named(self.strangers.iter().copied())
    }

    fn all_strangers(&self) -> MarkError {
        let history = named(self.backtest.entities.iter().map(|it| &it.labels));
        MarkError::Strangers { labels: self.strangers(), history }
    }
}

/// Some of these by name, each once, and how many there are more.
fn named<'a>(labels: impl Iterator<Item = &'a Labels>) -> String {
    let mut texts: Vec<String> = labels.map(ToString::to_string).collect();
    texts.sort();
    texts.dedup();
    let more = texts.len().saturating_sub(NAMED);
    texts.truncate(NAMED);
    let text = texts.join(", ");
    if more > 0 { format!("{text} and {more} more") } else { text }
}

/// Lays marks over a backtest. `left_out` are the entities of the history that are not in it.
///
/// # Errors
/// When nothing that is marked is of a host and a step of the backtest.
pub fn mark(backtest: &Backtest, marks: &Marks, left_out: &[Labels]) -> Result<Marked, MarkError> {
    must_be_of_one(backtest, marks)?;
    let whose = Whose { backtest, left_out, strangers: Vec::new() };
    let mut marked = match marks {
        Marks::Steps(all) => of_steps(whose, all),
        Marks::Incidents(all) => of_incidents(whose, all),
    }?;
    if marked.incidents.is_empty() {
        marked.notes.push(
            "the labels mark nothing as anomalous here: there is nothing to find, and every call is a false one"
                .to_owned(),
        );
    }
    marked.incidents.sort_by_key(|it| (it.incident.start_ms, it.incident.end_ms));
    Ok(marked)
}

/// Refuses labels of several hosts where the only one has no name.
fn must_be_of_one(backtest: &Backtest, marks: &Marks) -> Result<(), MarkError> {
    let is_nameless = |it: &super::Scored| it.labels.is_empty();
    if !backtest.entities.iter().any(is_nameless) {
        return Ok(());
    }
    let mut owners: Vec<&Labels> = match marks {
        Marks::Steps(all) => all.iter().map(|it| &it.owner).collect(),
        Marks::Incidents(all) => all.iter().map(|it| &it.owner).collect(),
    };
    owners.retain(|it| !it.is_empty());
    match owners.iter().any(|it| *it != owners[0]) {
        true => Err(MarkError::Nameless(named(owners.into_iter()))),
        false => Ok(()),
    }
}

fn of_steps<'a>(mut whose: Whose<'a>, all: &'a [LabelledSteps]) -> Result<Marked, MarkError> {
    let backtest = whose.backtest;
    let steps = backtest.times_ms.len();
    let mut by_entity = vec![vec![None; steps]; backtest.entities.len()];
    let mut incidents = Vec::new();
    let (mut labels, mut beside, mut example) = (0, 0, None);
    for LabelledSteps { owner, steps: own } in all {
        let entities = whose.of(owner);
        if entities.is_empty() {
            continue;
        }
        labels += own.len();
        let mut by_step: Vec<Option<bool>> = vec![None; steps];
        for (time_ms, label) in own {
            let near = nearest(&backtest.times_ms, *time_ms);
            let near = near.map(|at| (at, (backtest.times_ms[at] - time_ms).abs()));
            match near.filter(|(_, by_ms)| *by_ms == 0 || *by_ms < backtest.step_ms / 4) {
                Some((at, _)) => by_step[at] = Some(*label || by_step[at] == Some(true)),
                None => {
                    beside += 1;
                    example.get_or_insert((*time_ms, near.map(|(at, _)| backtest.times_ms[at])));
                }
            }
        }
        let line = Timeline::new(&backtest.times_ms, backtest.step_ms);
        let runs = line.runs(|at| by_step[at] == Some(true)).into_iter();
        incidents.extend(runs.map(|steps| MarkedIncident {
            incident: Incident {
                owner: owner.clone(),
                start_ms: backtest.times_ms[steps.first],
                end_ms: backtest.times_ms[steps.last],
            },
            entities: entities.clone(),
            steps,
        }));
        for entity in entities {
            for (it, label) in by_entity[entity].iter_mut().zip(&by_step) {
                *it = if *it == Some(true) { *it } else { label.or(*it) };
            }
        }
    }
    let example = example.map_or_else(String::new, |(time_ms, near_ms): (i64, Option<i64>)| {
        let near = near_ms
            .map_or_else(String::new, |it| format!(", and {} is the nearest step", format_ms(it)));
        format!(" (the first is at {}{near})", format_ms(time_ms))
    });
    match labels {
        0 => return Err(whose.all_strangers()),
        _ if beside == labels => return Err(MarkError::OffSteps(example)),
        _ => {}
    }
    let mut notes = Vec::new();
    if beside > 0 {
        notes.push(format!(
            "left out: {beside} of {labels} labels, whose times are not steps of the \
             history{example}"
        ));
    }
    let without = by_entity.iter().flatten().filter(|it| it.is_none()).count();
    if without > 0 {
        notes.push(format!(
            "left out: {without} of {} steps, without a label",
            steps * by_entity.len()
        ));
    }
    strangers_note(&whose, "labels", &mut notes);
    Ok(Marked { by_entity, incidents, notes })
}

fn strangers_note(whose: &Whose<'_>, what: &str, notes: &mut Vec<String>) {
    if !whose.strangers.is_empty() {
        notes.push(format!(
            "left out: {what} of hosts that the history does not have: {}",
            whose.strangers()
        ));
    }
}

fn of_incidents<'a>(mut whose: Whose<'a>, all: &'a [Incident]) -> Result<Marked, MarkError> {
    let backtest = whose.backtest;
    let times_ms = &backtest.times_ms;
    let mut by_entity = vec![vec![Some(false); times_ms.len()]; backtest.entities.len()];
    let mut incidents = Vec::new();
    let (mut known, mut outside, mut cut, mut between) = (0, Vec::new(), Vec::new(), Vec::new());
    for incident in all {
        let entities = whose.of(&incident.owner);
        if entities.is_empty() {
            continue;
        }
        known += 1;
        let Some((steps, is_between)) = steps_of(backtest, incident) else {
            outside.push(incident);
            continue;
        };
        if is_between {
            between.push((incident, times_ms[steps.first]));
        } else if incident.start_ms <= times_ms[0] - backtest.step_ms
            || incident.end_ms >= times_ms[times_ms.len() - 1] + backtest.step_ms
        {
            cut.push(incident);
        }
        for entity in &entities {
            by_entity[*entity][steps.first..=steps.last].fill(Some(true));
        }
        incidents.push(MarkedIncident { incident: incident.clone(), entities, steps });
    }
    let range = match (times_ms.first(), times_ms.last()) {
        (Some(first), Some(last)) => format!("{} to {}", format_ms(*first), format_ms(*last)),
        _ => "nowhen".to_owned(),
    };
    if incidents.is_empty() && !outside.is_empty() {
        return Err(MarkError::Outside { history: range, labels: example(&outside, known) });
    }
    if known == 0 && !whose.strangers.is_empty() {
        return Err(whose.all_strangers());
    }
    let mut notes = Vec::new();
    if !outside.is_empty() {
        let which = example(&outside, known);
        notes.push(format!("left out: {which}, outside of the history from {range}"));
    }
    if !cut.is_empty() {
        let which = example(&cut, known);
        notes.push(format!("only the part within the history from {range} counts of {which}"));
    }
    if let Some((first, near_ms)) = between.first() {
        let all: Vec<&Incident> = between.iter().map(|(it, _)| *it).collect();
        let (start, near) = (format_ms(first.start_ms), format_ms(*near_ms));
        notes.push(format!(
            "between two steps of the history: {}; each is taken as the nearest step, that at {start} as {near}",
            example(&all, known)
        ));
    }
    strangers_note(&whose, "incidents", &mut notes);
    Ok(Marked { by_entity, incidents, notes })
}

/// How many incidents these are, and the first of them.
fn example(some: &[&Incident], all: usize) -> String {
    let first = some[0];
    let length = Duration::from_ms(first.end_ms - first.start_ms);
    let (count, start) = (some.len(), format_ms(first.start_ms));
    format!("{count} of {all} incidents (the first is at {start}, for {length})")
}

/// The steps of an incident, and whether it has none and these are the nearest; nothing where that is a
/// step away or farther.
fn steps_of(backtest: &Backtest, incident: &Incident) -> Option<(Run, bool)> {
    let times_ms = &backtest.times_ms;
    let first = times_ms.partition_point(|it| *it < incident.start_ms);
    let end = times_ms.partition_point(|it| *it <= incident.end_ms);
    if first < end {
        return Some((Run { first, last: end - 1 }, false));
    }
    let near = nearest(times_ms, incident.start_ms)?;
    let distance_ms = (times_ms[near] - incident.start_ms).abs();
    (distance_ms < backtest.step_ms).then_some((Run { first: near, last: near }, true))
}

/// The step whose time is nearest; the earlier one of two.
fn nearest(times_ms: &[i64], time_ms: i64) -> Option<usize> {
    let after = times_ms.partition_point(|it| *it < time_ms);
    let both = after.saturating_sub(1)..(after + 1).min(times_ms.len());
    both.min_by_key(|at| (times_ms[*at] - time_ms).abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Scored;

    const MINUTE_MS: i64 = 60_000;

    fn host(instance: &str) -> Labels {
        Labels::from_pairs([("job", "node"), ("instance", instance)]).expect("two names")
    }

    fn owner(name: &str, value: &str) -> Labels {
        Labels::from_pairs([(name, value)]).expect("one name")
    }

    /// Ten steps of a minute from the tenth on, of these hosts.
    fn backtest(hosts: &[Labels]) -> Backtest {
        let scored = |labels: &Labels| Scored {
            labels: labels.clone(),
            scores: vec![0.5; 10],
            thresholds: vec![1.0; 10],
            states: Vec::new(),
            excluded: Vec::new(),
            blame: Vec::new(),
        };
        Backtest {
            times_ms: (10..20).map(|minute| minute * MINUTE_MS).collect(),
            step_ms: MINUTE_MS,
            entities: hosts.iter().map(scored).collect(),
            by_feature: Vec::new(),
            feature_names: Vec::new(),
        }
    }

    fn hosts() -> Backtest {
        backtest(&[host("a"), host("b")])
    }

    /// In minutes.
    fn incident(owner: &Labels, start: f64, end: f64) -> Incident {
        let [start_ms, end_ms] = [start, end].map(|it| (it * MINUTE_MS as f64) as i64);
        Incident { owner: owner.clone(), start_ms, end_ms }
    }

    fn steps(owner: Labels, from: f64, labels: &str) -> LabelledSteps {
        let at = |(minute, it): (usize, u8)| {
            (((from + minute as f64) * MINUTE_MS as f64) as i64, it == b'1')
        };
        LabelledSteps { owner, steps: labels.bytes().enumerate().map(at).collect() }
    }

    /// By host: `1` anomalous, `0` normal, `.` without a label; and the notes.
    #[track_caller]
    fn check(backtest: &Backtest, marks: &Marks, expected: &[&str], notes: &[&str]) {
        let marked = mark(backtest, marks, &[]).expect("marked");
        let text = |it: &Vec<Option<bool>>| -> String {
            it.iter().map(|it| it.map_or('.', |it| if it { '1' } else { '0' })).collect()
        };
        let found: Vec<String> = marked.by_entity.iter().map(text).collect();
        assert_eq!(found, expected);
        assert_eq!(marked.notes, notes);
    }

    #[track_caller]
    fn check_error(backtest: &Backtest, marks: &Marks, expected: &str) {
        assert_eq!(mark(backtest, marks, &[]).expect_err("a refusal").to_string(), expected);
    }

    #[test]
    fn incidents_are_of_the_hosts_that_agree() {
        let (all, job) = (Labels::empty(), owner("job", "node"));
        let marks = [incident(&owner("instance", "a"), 12.0, 13.0), incident(&job, 17.5, 18.5)];
        check(&hosts(), &Marks::Incidents(marks.to_vec()), &["0011000010", "0000000010"], &[]);
        check(
            &hosts(),
            &Marks::Incidents(vec![incident(&all, 10.0, 10.0)]),
            &["1000000000"; 2],
            &[],
        );
    }

    #[test]
    fn what_lies_beside_the_steps_is_told() {
        let all = Labels::empty();
        let marks = [
            incident(&all, 1.0, 2.0),
            incident(&all, 5.0, 10.0),
            incident(&all, 12.25, 12.5),
            incident(&all, 19.0, 25.0),
        ];
        let history = "1970-01-01T00:10:00Z to 1970-01-01T00:19:00Z";
        check(
            &hosts(),
            &Marks::Incidents(marks.to_vec()),
            &["1010000001"; 2],
            &[
                &format!(
                    "left out: 1 of 4 incidents (the first is at 1970-01-01T00:01:00Z, for 1m), outside of the history from {history}"
                ),
                &format!(
                    "only the part within the history from {history} counts of 2 of 4 incidents (the first is at 1970-01-01T00:05:00Z, for 5m)"
                ),
                "between two steps of the history: 1 of 4 incidents (the first is at 1970-01-01T00:12:15Z, for 15s); each is taken as the nearest step, that at 1970-01-01T00:12:15Z as 1970-01-01T00:12:00Z",
            ],
        );
        check_error(
            &hosts(),
            &Marks::Incidents(marks[..1].to_vec()),
            &format!(
                "no incident lies within the history, which is from {history}: 1 of 1 incidents (the first is at 1970-01-01T00:01:00Z, for 1m)"
            ),
        );
    }

    #[test]
    fn hosts_that_are_not_there_are_named() {
        let a = incident(&owner("instance", "a"), 10.0, 10.0);
        let strangers =
            ["v", "z", "x", "w", "z"].map(|it| incident(&owner("instance", it), 10.0, 11.0));
        let marks = Marks::Incidents([&[a][..], &strangers].concat());
        let named = "{instance=\"v\"}, {instance=\"w\"}, {instance=\"x\"} and 1 more";
        let note = format!("left out: incidents of hosts that the history does not have: {named}");
        check(&hosts(), &marks, &["1000000000", "0000000000"], &[&note]);
        let error = format!(
            "the labels are of hosts that the history does not have: {named}; it has \
             {{instance=\"a\", job=\"node\"}}, {{instance=\"b\", job=\"node\"}}"
        );
        check_error(&hosts(), &Marks::Incidents(strangers.to_vec()), &error);
        // Who was asked to be left out is no stranger.
        let of_b = Marks::Incidents(vec![incident(&owner("instance", "b"), 10.0, 11.0)]);
        let marked = mark(&backtest(&[host("a")]), &of_b, &[host("b")]).expect("marked");
        assert!(marked.notes[0].starts_with("the labels mark nothing"), "{:?}", marked.notes);
    }

    #[test]
    fn labels_without_events_are_said_to_be_so() {
        let nothing = "the labels mark nothing as anomalous here: there is nothing to find, and every call is a false one";
        check(&hosts(), &Marks::Incidents(Vec::new()), &["0000000000"; 2], &[nothing]);
        let normal = steps(Labels::empty(), 10.0, "0000000000");
        check(&hosts(), &Marks::Steps(vec![normal]), &["0000000000"; 2], &[nothing]);
    }

    #[test]
    fn steps_are_marked_one_by_one() {
        let marks =
            [steps(owner("instance", "a"), 10.0, "0010000110"), steps(Labels::empty(), 12.2, "01")];
        let without = "left out: 8 of 20 steps, without a label";
        check(&hosts(), &Marks::Steps(marks.to_vec()), &["0011000110", "..01......"], &[without]);
        let late = Marks::Steps(vec![steps(Labels::empty(), 15.0, "0101101")]);
        let some = mark(&hosts(), &late, &[]).expect("marked");
        let left_out = "left out: 2 of 7 labels, whose times are not steps of the history (the \
                        first is at \
                        1970-01-01T00:20:00Z, and 1970-01-01T00:19:00Z is the nearest step)";
        assert_eq!(some.notes[0], left_out);
        let runs: Vec<_> =
            some.incidents.iter().map(|it| (it.steps.first, it.steps.last)).collect();
        assert_eq!(runs, [(6, 6), (8, 9)]);
        assert_eq!(some.incidents[0].entities, [0, 1]);
        check_error(
            &hosts(),
            &Marks::Steps(vec![steps(Labels::empty(), 14.5, "0101")]),
            "no label has the time of any step of the history (the first is at 1970-01-01T00:14:30Z, and \
             1970-01-01T00:14:00Z is the nearest step)",
        );
    }

    #[test]
    fn a_table_is_of_one_host_without_a_name() {
        let table = backtest(&[Labels::empty()]);
        let a = incident(&owner("instance", "a"), 12.0, 13.0);
        check(&table, &Marks::Incidents(vec![a.clone()]), &["0011000000"], &[]);
        let marks = Marks::Incidents(vec![a, incident(&owner("instance", "b"), 15.0, 15.0)]);
        check_error(
            &table,
            &marks,
            "the history is of one host without a name, and the labels are of several \
             ({instance=\"a\"}, {instance=\"b\"}): leave only those of one",
        );
    }
}

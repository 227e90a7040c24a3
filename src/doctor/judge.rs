//! The judgement: answers of a server → rows and findings.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::lacking::{self, Lacking};
use super::{
    Examination, Examined, Need, Row, Said, SaidOfFeature, Subject, intervals, some, wiring,
};
use crate::labels::Labels;
use crate::matcher::Selector;

/// Judges what a server said of these subjects, in their order.
///
/// # Panics
/// When it was not asked about these subjects.
#[must_use]
pub fn examine(subjects: &[Subject], said: &Said) -> Examination {
    let mut found = Examination { open: said.open.clone(), ..Examination::default() };
    for (subject, answers) in subjects.iter().zip(&said.features) {
        let hosts = Hosts::new(subject, answers, said);
        let rows = subject.features.iter().zip(answers);
        let rows = rows.map(|(need, answer)| hosts.row(need, answer, &mut found));
        let rows: Vec<Row> = rows.collect();
        found.subjects.push(Examined { name: subject.name.clone(), hosts: hosts.now.len(), rows });
        for (need, answer) in subject.features.iter().zip(answers) {
            shape(subject, need, answer, &mut found);
        }
        let lacking: Vec<Lacking<'_>> = subject
            .features
            .iter()
            .zip(answers)
            .filter_map(|(need, answer)| hosts.lacking(need, answer))
            .collect();
        lacking::judge(subject, &hosts, &lacking, said, &mut found);
        hosts.gone(said, &mut found);
        intervals::judge(subject, said, &mut found);
        wiring::judge_write_rules(subject, said, &mut found);
    }
    targets(subjects, said, &mut found);
    wiring::judge(said, &mut found);
    for list in [&mut found.faults, &mut found.hints, &mut found.open] {
        let mut seen = HashSet::new();
        list.retain(|it| seen.insert(it.clone()));
    }
    found
}

/// Whose values there are.
pub(super) struct Hosts<'a> {
    subject: &'a Subject,
    /// With a value of some feature now.
    pub now: BTreeSet<Host>,
    last_day: BTreeSet<Host>,
    /// The jobs that the series of a host are of.
    jobs: HashMap<Host, BTreeSet<String>>,
    /// For each selector the hosts that have series, and whether others that are no host's are there.
    series: HashMap<&'a Selector, (HashSet<Host>, bool)>,
}

/// The values of the entity labels, in their order.
pub(super) type Host = Vec<String>;

/// A host as it is shown.
pub(super) fn shown(host: &Host) -> String {
    host.join("/")
}

/// Whose a series is, if it has all labels.
fn host_of(subject: &Subject, labels: &Labels) -> Option<Host> {
    let values = subject.entity.iter().map(|name| labels.get(name).to_owned());
    let host: Host = values.collect();
    host.iter().all(|it| !it.is_empty()).then_some(host)
}

impl<'a> Hosts<'a> {
    fn new(subject: &'a Subject, answers: &[SaidOfFeature], said: &'a Said) -> Self {
        let of = |list: &[Labels]| -> BTreeSet<Host> {
            list.iter().filter_map(|it| host_of(subject, it)).collect()
        };
        let valued = |pick: fn(&SaidOfFeature) -> &super::Valued| -> BTreeSet<Host> {
            answers.iter().filter_map(|it| pick(it).as_deref().ok()).flat_map(of).collect()
        };
        let (now, last_day) = (valued(|it| &it.now), valued(|it| &it.last_day));
        let mut all = Self { subject, now, last_day, jobs: HashMap::new(), series: HashMap::new() };
        for selector in subject.selectors() {
            let Some(list) = said.series.get(selector) else { continue };
            let mut is_shared = false;
            for labels in list {
                match host_of(subject, labels) {
                    Some(host) if !labels.get("job").is_empty() => {
                        all.jobs.entry(host).or_default().insert(labels.get("job").to_owned());
                    }
                    Some(_) => {}
                    None => is_shared = true,
                }
            }
            all.series.insert(selector, (of(list).into_iter().collect(), is_shared));
        }
        all
    }

    /// Whether a host, or anybody, has what is selected, as far as is known.
    pub fn has(&self, selector: &Selector, host: Option<&Host>) -> bool {
        let Some((hosts, is_shared)) = self.series.get(selector) else { return true };
        *is_shared || host.map_or(!hosts.is_empty(), |host| hosts.contains(host))
    }

    /// The jobs of some hosts; none where that is not known.
    pub fn jobs_of(&self, hosts: &[Host]) -> BTreeSet<&str> {
        let of = hosts.iter().filter_map(|it| self.jobs.get(it)).flatten();
        of.map(String::as_str).collect()
    }

    fn with_value(&self, need: &Need, valued: &super::Valued) -> Option<BTreeSet<Host>> {
        let list = valued.as_ref().ok()?;
        match need.is_common && !list.is_empty() {
            true => Some(self.now.clone()),
            false => Some(list.iter().filter_map(|it| host_of(self.subject, it)).collect()),
        }
    }

    fn row(&self, need: &Need, answer: &SaidOfFeature, found: &mut Examination) -> Row {
        let now = self.with_value(need, &answer.now);
        let last_day = self.with_value(need, &answer.last_day);
        for (when, valued) in [("now", &answer.now), ("over the last day", &answer.last_day)] {
            if let Err(words) = valued {
                found.open.push(format!("who has {} {when} ({words})", need.name));
            }
        }
        let lacking = now.iter().flat_map(|now| self.now.difference(now)).map(shown);
        Row {
            feature: need.name.clone(),
            lacking: lacking.collect(),
            now: now.map(|it| it.len()),
            last_day: last_day.map(|it| it.len()),
        }
    }

    /// Who lacks a feature, if anybody does.
    fn lacking<'b>(&self, need: &'b Need, answer: &SaidOfFeature) -> Option<Lacking<'b>> {
        let now = self.with_value(need, &answer.now)?;
        if need.is_common && answer.now.as_ref().is_ok_and(|it| !it.is_empty()) {
            return None;
        }
        let hosts: Vec<Host> = self.now.difference(&now).cloned().collect();
        let is_unplaced = !need.is_common && answer.now.as_ref().is_ok_and(|it| !it.is_empty());
        let is_nobodys = now.is_empty();
        match hosts.is_empty() && !is_nobodys || is_nobodys && is_unplaced {
            true => None,
            false => Some(Lacking { need, hosts, is_nobodys }),
        }
    }

    /// Says which hosts have ended.
    fn gone(&self, said: &Said, found: &mut Examination) {
        let all_known = said.features.iter().flatten().all(|it| it.now.is_ok());
        let gone: Vec<String> = self.last_day.difference(&self.now).map(shown).collect();
        if all_known && !gone.is_empty() {
            found.hints.push(format!(
                "{} had values of model {:?} within the last day and have none now: if they are not \
                 meant to be gone, see whether they are up and scraped",
                some(gone.iter().map(String::as_str)),
                self.subject.name
            ));
        }
    }
}

/// Says which features cannot be any host's, or not one's alone.
fn shape(subject: &Subject, need: &Need, answer: &SaidOfFeature, found: &mut Examination) {
    let Some(list) = answer.now.as_ref().ok().filter(|it| !need.is_common && !it.is_empty()) else {
        return;
    };
    let mut counts: BTreeMap<Host, usize> = BTreeMap::new();
    list.iter()
        .filter_map(|it| host_of(subject, it))
        .for_each(|it| *counts.entry(it).or_default() += 1);
    let (name, by) = (&need.name, subject.entity.join(", "));
    if counts.is_empty() {
        found.faults.push(format!(
            "no result of {name} has the labels {by} that name a host, for example {}: keep them in its \
             expression, as in `sum by ({by}) (...)`",
            list[0]
        ));
    }
    if let Some((host, _)) = counts.iter().find(|it| *it.1 > 1) {
        found.faults.push(format!(
            "{name} has several results for {}: aggregate them in its expression, as in \
             `sum by ({by}) (...)`",
            shown(host)
        ));
    }
}

/// Says which targets of the hosts' jobs cannot be scraped.
fn targets(subjects: &[Subject], said: &Said, found: &mut Examination) {
    let jobs: BTreeSet<&str> = subjects
        .iter()
        .flat_map(|it| it.selectors())
        .filter_map(|it| said.series.get(it))
        .flatten()
        .map(|it| it.get("job"))
        .collect();
    let down = said.targets.iter().flatten().filter(|it| it.health == "down");
    for target in down {
        let label = |name: &str| target.labels.get(name).map_or("", String::as_str);
        let is_portent = said.portents.iter().any(|it| it.get("job") == label("job"));
        if jobs.contains(label("job")) || is_portent || jobs.is_empty() {
            found.faults.push(format!(
                "target {} of job {:?} cannot be scraped ({}): fix that first",
                label("instance"),
                label("job"),
                target.last_error
            ));
        }
    }
}

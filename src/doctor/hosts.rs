//! The hosts of a subject: who has values and series, as far as a server said.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Examination, Need, Row, Said, SaidOfFeature, Subject, some};
use crate::labels::Labels;
use crate::matcher::Selector;

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
pub(super) fn host_of(subject: &Subject, labels: &Labels) -> Option<Host> {
    let values = subject.entity.iter().map(|name| labels.get(name).to_owned());
    let host: Host = values.collect();
    host.iter().all(|it| !it.is_empty()).then_some(host)
}

impl<'a> Hosts<'a> {
    pub fn new(subject: &'a Subject, answers: &[SaidOfFeature], said: &'a Said) -> Self {
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

    pub fn row(&self, need: &Need, answer: &SaidOfFeature, found: &mut Examination) -> Row {
        let now = self.with_value(need, &answer.now);
        let last_day = self.with_value(need, &answer.last_day);
        for (when, valued) in [("now", &answer.now), ("over the last day", &answer.last_day)] {
            if let Err(words) = valued {
                found.open.push(format!("who has {} {when} ({words})", need.name));
            }
        }
        let lacking = now.iter().flat_map(|now| self.now.difference(now)).map(shown);
        // Now is within the last day, which is looked at once an hour.
        let day = match (&now, &last_day) {
            (Some(now), Some(day)) => Some(now.union(day).count()),
            (now, day) => day.as_ref().or(now.as_ref()).map(BTreeSet::len),
        };
        Row {
            feature: need.name.clone(),
            lacking: lacking.collect(),
            now: now.map(|it| it.len()),
            last_day: day,
        }
    }

    /// Who lacks a feature, if anybody does.
    pub fn lacking<'b>(&self, need: &'b Need, answer: &SaidOfFeature) -> Option<Lacking<'b>> {
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
    pub fn gone(&self, said: &Said, found: &mut Examination) {
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

/// A feature that somebody lacks.
pub(super) struct Lacking<'a> {
    pub need: &'a Need,
    /// Who lacks it, of those who have other features.
    pub hosts: Vec<Host>,
    /// Whether no host at all has it.
    pub is_nobodys: bool,
}

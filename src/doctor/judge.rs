//! The judgement: answers of a server → rows and findings.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::hosts::{Host, Hosts, Lacking, host_of, shown};
use super::{
    Examination, Examined, Need, Row, Said, SaidOfFeature, Subject, intervals, lacking, wiring,
};

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

//! Why features have no value: which metric the server does not have, and which rule drops it.

use std::collections::{BTreeMap, BTreeSet};

use super::hosts::{Host, Hosts, Lacking, shown};
use super::relabel::{Fate, Known, fate};
use super::server_config::ScrapeJob;
use super::{Examination, Need, Said, Subject, named, some};
use crate::duration::Duration;
use crate::features::Missing;
use crate::labels::METRIC_NAME;
use crate::matcher::{MatchOp, Selector};

/// A rule that takes metrics away: its job, its index, and their name thereafter, if they have one.
type Culprit = (String, usize, Option<String>);

/// Metrics that a rule takes away, and the features that need them.
#[derive(Default)]
struct Taken<'a> {
    metrics: BTreeSet<&'a str>,
    features: BTreeSet<&'a str>,
}

/// Says why, by cause.
pub(super) fn judge<'a>(
    subject: &Subject,
    hosts: &Hosts<'_>,
    all: &'a [Lacking<'a>],
    said: &Said,
    found: &mut Examination,
) {
    let mut rules: BTreeMap<Culprit, Taken<'a>> = BTreeMap::new();
    for lacking in all {
        let mut groups: BTreeMap<String, (Vec<&'a Selector>, Vec<Host>)> = BTreeMap::new();
        let each = match lacking.hosts.is_empty() {
            true => vec![None],
            false => lacking.hosts.iter().map(Some).collect(),
        };
        for host in each {
            let missing = missing(lacking.need, hosts, host);
            let key = missing.iter().map(ToString::to_string).collect();
            let group = groups.entry(key).or_insert_with(|| (missing, Vec::new()));
            group.1.extend(host.cloned());
        }
        for (missing, of) in groups.into_values() {
            let mut unexplained = Vec::new();
            for selector in &missing {
                match culprit(selector, &hosts.jobs_of(&of), said) {
                    Some(culprit) => {
                        let taken = rules.entry(culprit).or_default();
                        taken.metrics.extend(selector.metric_name());
                        taken.features.insert(&lacking.need.name);
                    }
                    None => unexplained.push(*selector),
                }
            }
            if missing.is_empty() || !unexplained.is_empty() {
                let text = sentence(lacking, &of, &unexplained, said);
                let is_filled = unexplained.is_empty() && lacking.need.fill().is_some();
                match lacking.is_nobodys && !is_filled {
                    true => found.faults.push(text),
                    false => found.hints.push(text),
                }
            }
        }
    }
    for ((job, i, name), Taken { metrics, features }) in rules {
        let rule = said.config.as_ref().and_then(|it| it.job(&job));
        let rule = rule.and_then(|it| it.metric_relabel_configs.get(i));
        let rule = rule.map(ToString::to_string).unwrap_or_default();
        let (metrics, features) = (some(metrics), some(features));
        let does = match &name {
            None => format!("drops {metrics}"),
            Some(name) => format!("names {metrics} {name}"),
        };
        found.faults.push(format!(
            "metric_relabel_configs[{i}] of scrape job {job:?} ({rule}) {does}, which {features} of model \
             {:?} needs: change the rule so that it keeps that",
            subject.name
        ));
    }
}

impl Need {
    /// What stands for a value that is missing.
    fn fill(&self) -> Option<String> {
        match self.missing {
            Missing::Fill(value) => Some(value.to_string()),
            Missing::FillMedian => Some("its median in training".to_owned()),
            Missing::Mask | Missing::Skip | Missing::Hold => None,
        }
    }
}

/// What a host, or everybody, has not of what a feature needs, by the way of which most is there.
fn missing<'a>(need: &'a Need, hosts: &Hosts<'_>, host: Option<&Host>) -> Vec<&'a Selector> {
    let ways = need.ways.iter().map(|way| {
        let missing = way.iter().filter(|it| !hosts.has(it, host));
        missing.collect::<Vec<_>>()
    });
    ways.min_by_key(Vec::len).unwrap_or_default()
}

/// The rule of one of these jobs, or of any where they are not known, that takes away what is selected.
fn culprit(selector: &Selector, jobs: &BTreeSet<&str>, said: &Said) -> Option<Culprit> {
    let (config, metric) = (said.config.as_ref()?, selector.metric_name()?);
    let is_concerned = |it: &&ScrapeJob| jobs.is_empty() || jobs.contains(it.job_name.as_str());
    config.scrape_configs.iter().filter(is_concerned).find_map(|job| {
        match fate(&job.metric_relabel_configs, known(selector, metric, &job.job_name)) {
            Fate::Dropped(i) => Some((job.job_name.clone(), i, None)),
            Fate::Renamed(i, name) => Some((job.job_name.clone(), i, Some(name))),
            Fate::Kept | Fate::Unknown => None,
        }
    })
}

/// What is known of the labels of series that are selected.
pub(super) fn known(selector: &Selector, metric: &str, job: &str) -> Known {
    let equal = selector.matchers().iter().filter(|it| it.op() == MatchOp::Equal);
    let equal = equal.map(|it| (it.name(), it.value()));
    Known::new([("job", job)].into_iter().chain(equal).chain([(METRIC_NAME, metric)]))
}

fn sentence(lacking: &Lacking<'_>, of: &[Host], missing: &[&Selector], said: &Said) -> String {
    let hosts: Vec<String> = of.iter().map(shown).collect();
    let whom = match lacking.is_nobodys {
        true => "any host".to_owned(),
        false => some(hosts.iter().map(String::as_str)),
    };
    let feature = &lacking.need.name;
    let Some(first) = missing.first() else {
        if let Some(fill) = lacking.need.fill() {
            return format!(
                "{feature} has no value for {whom} though its metrics are there, and is {fill} then: nothing \
                 to do, unless it should have one"
            );
        }
        let new = match lacking.need.range_ms {
            0 => String::new(),
            ms => {
                let range = Duration::from_seconds((ms + 999) / 1_000);
                format!(", or wait if its series are younger than {range}")
            }
        };
        return format!(
            "{feature} has no value for {whom} though its metrics are there: look at its expression in \
             the server's own page{new}"
        );
    };
    // Of a metric that is not there at all, its name says it all.
    let is_gone = |metric: &str| said.series.get(&named(metric)).is_some_and(Vec::is_empty);
    let mut names: Vec<String> = Vec::new();
    for selector in missing {
        let gone = selector.metric_name().filter(|it| is_gone(it)).map(str::to_owned);
        let name = gone.unwrap_or_else(|| text(selector));
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let names = some(names.iter().map(String::as_str));
    let is_there = |it: &&Selector| {
        let whole = it.metric_name().map(named);
        whole.is_some_and(|it| said.series.get(&it).is_some_and(|all| !all.is_empty()))
    };
    let had = |it: &&Selector| it.metric_name().and_then(|it| said.last_day.get(it)).copied();
    let begin = format!("{feature} has no value for {whom}:");
    if missing.iter().all(|it| had(it) == Some(true)) {
        return format!(
            "{begin} {names} ended within the last day: see what became of the exporter that gave it"
        );
    }
    if lacking.is_nobodys && is_there(first) && missing.len() == 1 {
        let metric = first.metric_name().unwrap_or_default();
        return format!(
            "{begin} the server has {metric}, and none as in {names}: change the expression, or what \
             the exporter leaves out"
        );
    }
    let (has, drops) = match lacking.is_nobodys {
        true => ("does not have", " and no rule that is known drops it"),
        false => ("does not have of it", ""),
    };
    format!(
        "{begin} the server {has} {names}{drops}: see whether the exporter gives it, and is scraped"
    )
}

/// A selector as it is written.
fn text(selector: &Selector) -> String {
    let Some(name) = selector.metric_name() else { return selector.to_string() };
    let rest = selector.matchers().iter().filter(|it| it.name() != METRIC_NAME);
    let rest: Vec<String> = rest.map(ToString::to_string).collect();
    match rest.is_empty() {
        true => name.to_owned(),
        false => format!("{name}{{{}}}", rest.join(",")),
    }
}

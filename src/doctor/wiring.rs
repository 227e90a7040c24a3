//! The wires between a server and Portent: remote write there, scores back.

use std::collections::BTreeSet;

use super::Examination;
use super::lacking::known;
use super::relabel::{Fate, fate};
use super::server_config::{RemoteWrite, ScrapeJob, ServerConfig};
use super::{Need, Said, Subject, some};
use crate::matcher::Selector;

/// Portent's port, unless it was told another.
const PORT: &str = ":9847";

/// Judges what comes to Portent, and what comes back.
pub(super) fn judge(said: &Said, found: &mut Examination) {
    let mut honest: BTreeSet<String> = said.exported.iter().cloned().collect();
    if let Some(config) = &said.config {
        judge_remote_write(config, said, found);
        let jobs: Vec<&ScrapeJob> =
            config.scrape_configs.iter().filter(|it| scrapes_portent(it, said)).collect();
        honest.extend(jobs.iter().filter(|it| !it.honor_labels).map(|it| it.job_name.clone()));
        if jobs.is_empty() && said.portents.is_empty() && config.scrape_config_files.is_empty() {
            found.hints.push(
                "no scrape job of the server seems to be Portent's: for scores to come back, add \
                 one \
                 with honor_labels: true and Portent's address"
                    .to_owned(),
            );
        }
    }
    for job in honest {
        let come = match said.exported.contains(&job) {
            true => "scores come back as exported_job and exported_instance",
            false => "scores would come back as exported_job and exported_instance",
        };
        found.faults.push(format!(
            "scrape job {job:?}, which is Portent's, lacks honor_labels, so that {come}: set \
             honor_labels: true for it"
        ));
    }
}

/// Says whether anything is written to Portent.
fn judge_remote_write(config: &ServerConfig, said: &Said, found: &mut Examination) {
    if portents(config, said).next().is_some() {
        return;
    }
    let jobs = said.series.values().flatten().map(|it| it.get("job"));
    let is_scraped_here = jobs.clone().any(|it| config.job(it).is_some());
    if jobs.count() > 0 && !is_scraped_here {
        found.open.push(
            "whether Portent is written to, as this server does not scrape the hosts itself: the \
             one that does needs a remote_write to Portent"
                .to_owned(),
        );
    } else if config.remote_write.is_empty() && !config.shows_remote_write() {
        found.open.push(
            "whether Portent is written to, as this server does not show that (of vmagent, \
             -remoteWrite.url says it)"
                .to_owned(),
        );
    } else if config.remote_write.is_empty() {
        found.faults.push(
            "the server has no remote_write: add one with url: http://HOST:9847/api/v1/write, where HOST \
             is Portent's"
                .to_owned(),
        );
    } else {
        let urls = some(config.remote_write.iter().map(|it| it.url.as_str()));
        found.faults.push(format!(
            "no remote_write of the server seems to point to Portent (there are {urls}): add one \
             with \
             url: http://HOST:9847/api/v1/write, where HOST is Portent's, or give it a name with \
             \"portent\" in it"
        ));
    }
}

/// Says which rules keep from Portent what features of a subject need and the server has.
pub(super) fn judge_write_rules(subject: &Subject, said: &Said, found: &mut Examination) {
    let Some(config) = &said.config else { return };
    for (i, write) in portents(config, said) {
        let rules = &write.write_relabel_configs;
        let mut taken: std::collections::BTreeMap<usize, [BTreeSet<&str>; 2]> = Default::default();
        for need in &subject.features {
            for (rule, metric) in kept_back(need, write, said) {
                let [metrics, features] = taken.entry(rule).or_default();
                metrics.insert(metric);
                features.insert(&need.name);
            }
        }
        for (rule, [metrics, features]) in taken {
            found.faults.push(format!(
                "write_relabel_configs[{rule}] of remote_write[{i}] to {} ({}) drops {}, which {} of model \
                 {:?} needs: let it keep that; `portent check config --print-relabel` prints a rule that \
                 does",
                write.url,
                rules[rule],
                some(metrics),
                some(features),
                subject.name
            ));
        }
    }
}

/// What rules take from a feature: nothing as long as one of the ways for which the server has all is left.
fn kept_back<'a>(need: &'a Need, write: &RemoteWrite, said: &Said) -> Vec<(usize, &'a str)> {
    let mut first: Option<Vec<(usize, &'a str)>> = None;
    let is_there = |it: &Selector| said.series.get(it).is_none_or(|all| !all.is_empty());
    for way in need.ways.iter().filter(|way| way.iter().all(is_there)) {
        let dropped = way.iter().filter_map(|selector| {
            let metric = selector.metric_name()?;
            let series = said.series.get(selector).into_iter().flatten();
            let jobs: BTreeSet<&str> = series.map(|it| it.get("job")).collect();
            let jobs = if jobs.is_empty() { BTreeSet::from([""]) } else { jobs };
            // It is enough that the series of one job arrive.
            let rules = jobs.into_iter().map(|job| {
                match fate(&write.write_relabel_configs, known(selector, metric, job)) {
                    Fate::Dropped(rule) | Fate::Renamed(rule, _) => Some((rule, metric)),
                    Fate::Kept | Fate::Unknown => None,
                }
            });
            rules.reduce(Option::and).flatten()
        });
        let dropped: Vec<_> = dropped.collect();
        if dropped.is_empty() {
            return dropped;
        }
        first.get_or_insert(dropped);
    }
    first.unwrap_or_default()
}

/// The receivers of samples that are seen to be Portents.
fn portents<'a>(
    config: &'a ServerConfig,
    said: &'a Said,
) -> impl Iterator<Item = (usize, &'a RemoteWrite)> {
    config.remote_write.iter().enumerate().filter(|(_, it)| {
        let address = it.url.split("://").last().unwrap_or_default();
        let address = address.rsplit('@').next().unwrap_or_default();
        let host = address.split('/').next().unwrap_or_default();
        let is_scraped = said.portents.iter().any(|it| it.get("instance") == host);
        is_scraped
            || host.ends_with(PORT)
            || [&it.name, address].iter().any(|it| it.to_lowercase().contains("portent"))
    })
}

/// Whether a job is seen to scrape Portent.
fn scrapes_portent(job: &ScrapeJob, said: &Said) -> bool {
    let mut targets = job.static_configs.iter().flat_map(|it| &it.targets);
    said.portents.iter().any(|it| it.get("job") == job.job_name)
        || job.job_name.to_lowercase().contains("portent")
        || targets.any(|it| it.ends_with(PORT))
}

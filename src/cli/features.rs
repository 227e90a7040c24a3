//! `portent check features`: whether a server has what features need, and what to change where it has not.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;

use super::item::item_of;
use super::model_file::read;
use super::source::now_ms;
use super::{ExitResult, Failure, say};
use crate::config::Config;
use crate::doctor::{self, Examination, Examined, Row, Subject};
use crate::features::{PROFILE_ENTITY, profile};
use crate::history::Inquiry;
use crate::model::ModelConfig;
use crate::promql::parse_selector;

/// Hosts that are named in one row, at most.
const NAMED: usize = 3;

/// Flags of `check features`.
#[derive(Debug, Args)]
pub(super) struct FeaturesArgs {
    /// ONNX file whose features are looked at, instead of those of the configuration's models.
    file: Option<PathBuf>,
    /// Portent configuration file; the built-in configuration without one.
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// The model of the configuration to look at; all of them without it.
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    model: Option<String>,
    /// Prometheus, or anything that answers its query API (history.prometheus_url of the configuration file
    /// without it). Credentials belong into history.http_config of the configuration file.
    #[arg(long = "prometheus.url", value_name = "URL")]
    prometheus_url: Option<String>,
}

pub(super) fn run(args: &FeaturesArgs) -> ExitResult {
    let config = Config::load(args.config_file.as_deref());
    let config = config.map_err(|error| Failure::Wrong(error.into()))?;
    let subjects = subjects(&config, args.file.as_deref(), args.model.as_deref());
    let subjects = subjects.map_err(Failure::Wrong)?;
    let url = args.prometheus_url.as_ref().or(config.history.prometheus_url.as_ref());
    let url = url.ok_or_else(|| {
        let text = "say which server to ask: --prometheus.url URL, or history.prometheus_url in the file \
                    of --config.file";
        Failure::Wrong(anyhow!(text))
    })?;
    let wrong = |error| Failure::Wrong(anyhow::Error::from(error));
    let inquiry = Inquiry::new(url, &config.history).map_err(wrong)?;
    let said = doctor::ask(&inquiry, &subjects, now_ms());
    let said = said.map_err(|error| Failure::Failed(error.into()))?;
    let found = doctor::examine(&subjects, &said);
    say(text(inquiry.shown(), &found)).map_err(Failure::Failed)?;
    match found.is_well() {
        true => Ok(()),
        false => Err(Failure::Failed(anyhow!(complaint(&found)))),
    }
}

/// `write_relabel_configs` for what these models' features, and `storage.keep`, need.
pub(super) fn relabel(config: &Config, file: Option<&Path>) -> anyhow::Result<String> {
    let subjects = subjects(config, file, None)?;
    let keep = config.storage.keep.iter().map(|text| parse_selector(text));
    let keep = keep.collect::<Result<Vec<_>, _>>()?;
    let selectors = subjects.iter().flat_map(Subject::selectors).chain(&keep);
    Ok(doctor::keep_rule(selectors))
}

/// What is looked at: a file's features, or those of one or all of the configuration's models.
fn subjects(
    config: &Config,
    file: Option<&Path>,
    name: Option<&str>,
) -> anyhow::Result<Vec<Subject>> {
    if let Some(file) = file {
        // Of one that is not there yet nothing is known, whatever is to be trained.
        read(Some(file))?;
        let own = item_of(config, file)?.cloned().unwrap_or_else(|| ModelConfig {
            name: file.display().to_string(),
            file: Some(file.to_owned()),
            ..ModelConfig::default()
        });
        return Ok(vec![subject(&own)?]);
    }
    let chosen = config.models.iter().filter(|it| name.is_none_or(|name| it.name == name));
    let chosen = chosen.map(subject).collect::<anyhow::Result<Vec<_>>>()?;
    match chosen.is_empty() {
        true => {
            let names: Vec<&str> = config.models.iter().map(|it| it.name.as_str()).collect();
            let name = name.unwrap_or_default();
            Err(anyhow!("there is no model {name:?} in the configuration, only {names:?}"))
        }
        false => Ok(chosen),
    }
}

/// The features of one model: its file's, or what it is to be trained with.
fn subject(model: &ModelConfig) -> anyhow::Result<Subject> {
    let name = &model.name;
    let is_to_be_trained = match &model.file {
        Some(file) => !file.exists(),
        None => model.features.is_some(),
    };
    let told = || -> anyhow::Result<Subject> {
        if is_to_be_trained {
            let features = model.features.clone().unwrap_or_else(profile);
            let entity = model.entity.clone();
            let entity = entity.unwrap_or_else(|| PROFILE_ENTITY.map(str::to_owned).to_vec());
            return Ok(Subject::new(name, &features, &entity)?);
        }
        let metadata = read(model.file.as_deref())?.resolve(model)?;
        Ok(Subject::new(name, &metadata.features, &metadata.entity)?)
    };
    told().with_context(|| format!("model {name:?}"))
}

fn text(url: &str, found: &Examination) -> String {
    let mut text = String::new();
    for Examined { name, hosts, rows } in &found.subjects {
        let counted = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            _ => format!("{count} {what}s"),
        };
        let (features, hosts) = (counted(rows.len(), "feature"), counted(*hosts, "host"));
        text += &format!("{url}: model {name:?}: {features}, {hosts}\n");
        let width = rows.iter().map(|it| it.feature.chars().count()).max().unwrap_or(0);
        for Row { feature, now, last_day, lacking } in rows {
            let count = |it: &Option<usize>| it.map_or("not known".to_owned(), |it| it.to_string());
            let (now, day) = (count(now), count(last_day));
            text += &format!("  {feature:<width$}  now {now}, last day {day}");
            if !lacking.is_empty() {
                let named = lacking[..lacking.len().min(NAMED)].join(", ");
                text += &format!("  lacking: {named}");
                if lacking.len() > NAMED {
                    text += &format!(" and {} more", lacking.len() - NAMED);
                }
            }
            text.push('\n');
        }
    }
    let lists = [("fault", &found.faults), ("hint", &found.hints), ("not known", &found.open)];
    for (kind, list) in lists {
        list.iter().for_each(|it| text += &format!("{kind}: {it}\n"));
    }
    text
}

/// Why the command fails.
fn complaint(found: &Examination) -> String {
    let rows = found.subjects.iter().flat_map(|it| &it.rows);
    let (all, without) = rows.fold((0, 0), |(all, without), row| {
        (all + 1, without + usize::from(row.now.is_none_or(|hosts| hosts == 0)))
    });
    let faults = match found.faults.len() {
        1 => "1 fault".to_owned(),
        count => format!("{count} faults"),
    };
    format!("{without} of {all} features have no value for any host; {faults}")
}

//! `portent evaluate`: runs a model over history and says how it would have done.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::item::item_of;
use super::next::serving;
use super::outputs;
use super::reproduce::command_line;
use super::source::SourceArgs;
use super::{ExitResult, Failure, say, write_file};
use crate::admission;
use crate::config::Config;
use crate::duration::Duration;
use crate::evaluate::{self, Account, Backtest, Judgement, Marked};
use crate::files::read_whole;
use crate::history::{self, History, HistoryError, HistoryQuery, LabelTable, Marks, Source};
use crate::labels::Labels;
use crate::matcher::Selector;
use crate::model::{Artifact, MAX_FILE_BYTES, Metadata, Runtime, Scorer};
use crate::promql::parse_selector;
use crate::timestamp::format_ranges;

/// Hosts that are named where a selector matches none.
const NAMED_HOSTS: usize = 3;

/// What is said where nothing is known of what was.
const WITHOUT_LABELS: &str = "next           to see which of these calls are right, name the incidents: --labels FILE \
                              (start,end), or --labels-query 'ALERTS{alertstate=\"firing\"}'\n";

/// Flags of `evaluate`.
#[derive(Debug, Args)]
pub(super) struct EvaluateArgs {
    /// The model file to evaluate.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Portent configuration file: for a model from elsewhere, its item of `models` with that file.
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    /// Write the score of each line or step: timestamp,score,threshold.
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Write the scores as OpenMetrics with timestamps, for `promtool tsdb create-blocks-from openmetrics`.
    #[arg(long, value_name = "FILE")]
    backfill: Option<PathBuf>,
    /// Judge the scores by incidents: a CSV file with start,end for each, or with timestamp,label (0 or 1)
    /// for each step. Columns named as the model's entity labels (job, instance) say whose they are; without
    /// them, or where a cell is empty, they are of every host.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Judge the scores by incidents that the server of the history knows: steps at which this PromQL
    /// expression has a result, of the hosts with the labels that it has. Example:
    /// 'ALERTS{alertstate="firing"}'
    #[arg(long, value_name = "EXPR", requires = "prometheus_url", conflicts_with = "labels")]
    labels_query: Option<String>,
    /// Evaluate only the hosts that match, such as 'instance="web-1:9100"' or 'job="node",instance=~"web-.*"'.
    #[arg(long, value_name = "MATCHERS")]
    entity: Option<String>,
    /// Write a page with plots.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

pub(super) fn run(args: EvaluateArgs) -> ExitResult {
    args.source.zone(args.labels.is_some()).map_err(Failure::Wrong)?;
    let only = args.entity.as_deref().map(selector).transpose().map_err(Failure::Wrong)?;
    let config = Config::load(args.config_file.as_deref());
    let config = config.map_err(|error| Failure::Wrong(error.into()))?;
    outputs::check(&[
        ("--scores", args.scores.as_deref()),
        ("--backfill", args.backfill.as_deref()),
        ("--report", args.report.as_deref()),
    ])?;
    let runtime = Runtime::load(config.onnxruntime.library.as_deref());
    let runtime = runtime.map_err(|error| Failure::of_model(error.into()))?;
    let model = load(&args.model, &config, &runtime).map_err(Failure::of_model)?;
    let metadata = &model.0;
    let (features, entity) = (metadata.features.clone(), metadata.entity.clone());
    let query = args.source.clone().query(&config, features, entity, Some(metadata.step));
    let query = query.map_err(Failure::Wrong)?;
    evaluate(&args, &config, &query, model, only.as_ref()).map_err(|error| {
        match error.downcast::<HistoryError>() {
            Ok(error) => Failure::of_history(error),
            Err(error) => Failure::Failed(error),
        }
    })
}

/// The matchers of --entity, with or without braces.
fn selector(text: &str) -> anyhow::Result<Selector> {
    let inner = text.trim().trim_start_matches('{').trim_end_matches('}');
    parse_selector(&format!("{{{inner}}}")).map_err(|error| {
        anyhow::Error::from(error).context(format!(
            "--entity {text}: write matchers as in 'instance=\"web-1:9100\"' or 'job=\"node\",instance=~\"web-.*\"'"
        ))
    })
}

/// The model, with what the configuration says of it.
fn load(path: &Path, config: &Config, runtime: &Runtime) -> anyhow::Result<(Metadata, Scorer)> {
    let name = path.display().to_string();
    let bytes = read_whole(path, MAX_FILE_BYTES as u64)
        .with_context(|| format!("cannot read model {name}"))?;
    let own = item_of(config, path)?.cloned().unwrap_or_default();
    admission::admit(&bytes, &own, config.onnxruntime.library.as_deref())
        .with_context(|| name.clone())?;
    let artifact = Artifact::read(bytes.into()).with_context(|| name.clone())?;
    let metadata = artifact.resolve(&own).with_context(|| name.clone())?;
    let scorer = Scorer::new(runtime, &artifact, &metadata).with_context(|| name.clone())?;
    Ok((metadata, scorer))
}

fn evaluate(
    args: &EvaluateArgs,
    config: &Config,
    query: &HistoryQuery,
    (metadata, scorer): (Metadata, Scorer),
    only: Option<&Selector>,
) -> anyhow::Result<()> {
    let name = args.model.display().to_string();
    let table_step = args.source.table_step();
    // What is wrong with them is said before hours of history are read.
    let labels = labels(args.labels.as_deref(), args.labels_query.as_deref(), query)?;
    let mut history = history::read(query)?;
    let left_out = only.map_or_else(|| Ok(Vec::new()), |only| keep(&mut history, only))?;
    let (recording, features) = (&history.recording, &history.features);
    let found = Duration::from_ms(recording.step_ms);
    if let Some(asked) = table_step.filter(|asked| *asked != found) {
        bail!("the table has steps of {found}, and --step asks for {asked}: leave out --step");
    }
    let backtest = evaluate::backtest(&metadata, scorer, recording, features, &config.global)?;
    if let Some(path) = &args.scores {
        let input = match &query.source {
            Source::Csv(input) => Some((input.as_path(), history.recording.rows.as_slice())),
            Source::Server(_) => None,
        };
        evaluate::write_scores(path, &backtest, &metadata.entity, input)?;
    }
    if let Some(path) = &args.backfill {
        evaluate::write_backfill(path, &backtest, &model_name(&args.model, config)?)?;
    }
    let judged = labels.map(|labels| {
        judge(&backtest, labels, &left_out).with_context(|| {
            match (&args.labels, &args.labels_query) {
                (Some(path), _) => path.display().to_string(),
                (None, expr) => format!("--labels-query {}", expr.as_deref().unwrap_or_default()),
            }
        })
    });
    let judged = judged.transpose()?;
    let account = Account::new(&backtest, judged.as_ref().map(|(marked, _)| marked));
    if let Some(path) = &args.report {
        let command = command_line(query, &[]);
        let judged = judged.as_ref().map(|(marked, judgement)| (judgement, marked));
        write_file(path, &evaluate::page(&name, &backtest, &account, judged, &command))?;
    }
    let text = account.text(&backtest);
    let served = model_name(&args.model, config)?;
    let next = serving(config, args.config_file.as_deref(), &served, &args.model);
    let looked_at = looked_at(query, &backtest);
    match &judged {
        Some((_, judgement)) => {
            say(format!("{text}\n{looked_at}{judgement}{}{next}", of_all(&backtest)))
        }
        None => {
            let overview = evaluate::overview(&backtest);
            say(format!("{text}\n{looked_at}{overview}{WITHOUT_LABELS}{next}"))
        }
    }
}

/// The history that was looked at.
fn looked_at(query: &HistoryQuery, backtest: &Backtest) -> String {
    let asked = query.ranges().into_iter().map(|it| (it.start_ms, it.end_ms));
    let times_ms = &backtest.times_ms;
    let whole = times_ms.first().copied().zip(times_ms.last().copied());
    format_ranges(asked, whole).iter().map(|it| format!("{:<14} {it}\n", "range")).collect()
}

/// What serving calls a model: by its item of the configuration, or as its file is called.
fn model_name(path: &Path, config: &Config) -> anyhow::Result<String> {
    let by_file = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(item_of(config, path)?.map_or_else(by_file, |it| it.name.clone()))
}

/// What figures are of where there are several hosts.
fn of_all(backtest: &Backtest) -> String {
    match backtest.entities.len() {
        1 => String::new(),
        hosts => format!(
            "These figures treat {hosts} hosts as one: a day is one host's day, and an event of \
             several hosts counts once for each.\n"
        ),
    }
}

/// What was marked as anomalous, by a file or by the server of the history.
fn labels(
    file: Option<&Path>,
    expr: Option<&str>,
    query: &HistoryQuery,
) -> anyhow::Result<Option<LabelTable>> {
    if let Some(path) = file {
        return Ok(Some(history::read_labels(path, query.zone.as_ref(), &query.entity)?));
    }
    let (Some(expr), Source::Server(source)) = (expr, &query.source) else { return Ok(None) };
    let incidents = history::read_incidents(query, source, expr)?;
    let incident = if incidents.len() == 1 { "incident" } else { "incidents" };
    let note = format!("{expr} has {} {incident} in the history", incidents.len());
    Ok(Some(LabelTable { marks: Marks::Incidents(incidents), notes: vec![note] }))
}

/// Keeps the hosts that match, and gives the names of the others.
fn keep(history: &mut History, only: &Selector) -> anyhow::Result<Vec<Labels>> {
    let entities = &mut history.recording.entities;
    let left_out: Vec<Labels> =
        entities.iter().map(|it| it.labels.clone()).filter(|it| !only.matches(it)).collect();
    if left_out.len() < entities.len() {
        entities.retain(|it| only.matches(&it.labels));
        return Ok(left_out);
    }
    if left_out.iter().all(Labels::is_empty) {
        bail!("--entity {only} chooses among hosts, and a CSV file has one without labels");
    }
    let some: Vec<String> = left_out.iter().take(NAMED_HOSTS).map(ToString::to_string).collect();
    let more = left_out.len() - some.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    bail!("--entity {only} matches no host of the history; it has {}{more}", some.join(", "))
}

/// The scores held against labels.
fn judge(
    backtest: &Backtest,
    labels: LabelTable,
    left_out: &[Labels],
) -> anyhow::Result<(Marked, Judgement)> {
    let mut marked = evaluate::mark(backtest, &labels.marks, left_out)?;
    marked.notes.splice(0..0, labels.notes);
    let judgement = evaluate::judge_fleet(backtest, &marked)?;
    Ok((marked, judgement))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        match (selector(text), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.to_string(), expected),
            (Err(error), Err(expected)) => {
                let text = format!("{error:#}");
                assert!(text.contains(expected), "{text}");
            }
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }

    #[test]
    fn hosts_are_chosen_by_matchers() {
        check("instance=\"web-1:9100\"", Ok("{instance=\"web-1:9100\"}"));
        check("{instance=~\"web-.*\", job!=\"x\"}", Ok("{instance=~\"web-.*\",job!=\"x\"}"));
        check("web-1:9100", Err("--entity web-1:9100: write matchers as in 'instance="));
        check("instance=~\"(\"", Err("--entity instance=~\"(\": write matchers"));
        check("", Err("--entity : write matchers"));
    }
}

//! `portent evaluate`: runs a model over history and says how it would have done.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::source::SourceArgs;
use super::{Failure, Outcome, command_line, write_file};
use crate::config::Config;
use crate::evaluate::{self, Backtest, Judgement, Settings, Tally};
use crate::history::{self, Source};
use crate::model::{Artifact, Runtime, Scorer};

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
    /// Judge the scores by labels: a CSV file with timestamp,label (0 or 1).
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Write a page with plots.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

pub(super) fn run(args: EvaluateArgs) -> Outcome {
    evaluate(args).map_err(Failure::Failed)
}

fn evaluate(args: EvaluateArgs) -> anyhow::Result<()> {
    let config = Config::load(args.config_file.as_deref())?;
    let name = args.model.display().to_string();
    let bytes = std::fs::read(&args.model).with_context(|| format!("cannot read model {name}"))?;
    let artifact = Artifact::read(bytes.into()).with_context(|| name.clone())?;
    let is_it = |file: &Path| same_file(file, &args.model);
    let own = config.models.iter().find(|it| it.file.as_deref().is_some_and(is_it));
    let metadata =
        artifact.resolve(&own.cloned().unwrap_or_default()).with_context(|| name.clone())?;
    let runtime = Runtime::load(config.onnxruntime.library.as_deref())?;
    let scorer = Scorer::new(&runtime, &artifact, &metadata).with_context(|| name.clone())?;
    let query = args.source.query(
        &config,
        metadata.features.clone(),
        metadata.entity.clone(),
        Some(metadata.step),
    )?;
    let history = history::read(&query)?;
    let (recording, features) = (&history.recording, &history.features);
    let backtest = evaluate::backtest(&metadata, scorer, recording, features, &config.global)?;
    if let Some(path) = &args.scores {
        let input = match &query.source {
            Source::Csv(input) => Some((input.as_path(), history.recording.rows.as_slice())),
            Source::Server(_) => None,
        };
        evaluate::write_scores(path, &backtest, &metadata.entity, input)?;
    }
    let judged = args.labels.as_deref().map(|labels| judge(&backtest, labels)).transpose()?;
    match &judged {
        Some((judgement, _)) => print!("{judgement}"),
        None => print!("{}", overview(&backtest)),
    }
    if let Some(path) = &args.report {
        let judged = judged.as_ref().map(|(judgement, labels)| (judgement, labels.as_slice()));
        write_file(path, &evaluate::page(&name, &backtest, judged, &command_line())?)?;
    }
    Ok(())
}

/// The scores of the only entity held against labels, and the label of each step.
fn judge(backtest: &Backtest, path: &Path) -> anyhow::Result<(Judgement, Vec<bool>)> {
    let [entity] = backtest.entities.as_slice() else {
        bail!("--labels are of one entity, and the history has {}", backtest.entities.len());
    };
    let labels = evaluate::read_labels(path)?;
    let step = |time_ms: &i64| backtest.times_ms.binary_search(time_ms).ok();
    if !labels.iter().any(|(time_ms, _)| step(time_ms).is_some()) {
        bail!("{}: no label has the time of any step of the history", path.display());
    }
    let mut by_step = vec![false; backtest.times_ms.len()];
    let times_ms: Vec<i64> = labels.iter().map(|(time_ms, _)| *time_ms).collect();
    let (mut scores, mut thresholds, mut flags) = (Vec::new(), Vec::new(), Vec::new());
    for (time_ms, label) in &labels {
        let at = step(time_ms);
        scores.push(at.map_or(f64::NAN, |at| entity.scores[at]));
        thresholds.push(at.map_or(1.0, |at| entity.thresholds[at]));
        flags.push(*label);
        at.into_iter().for_each(|at| by_step[at] = *label);
    }
    let settings = Settings::for_step(backtest.step_ms);
    Ok((evaluate::judge(&times_ms, &scores, &flags, &thresholds, &settings)?, by_step))
}

/// What there is to say without labels.
fn overview(backtest: &Backtest) -> String {
    let mut text = String::new();
    for entity in &backtest.entities {
        let Tally { scored, above, episodes, largest } = backtest.tally(entity);
        let name = match entity.labels.is_empty() {
            true => String::new(),
            false => format!("{}: ", entity.labels),
        };
        text.push_str(&format!(
            "{name}{scored} of {} steps scored, {above} above the threshold, episodes: {episodes}, \
             largest {largest:.2}\n",
            entity.scores.len()
        ));
    }
    text
}

/// Whether two paths name the same file.
fn same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Scored;
    use crate::labels::Labels;

    #[test]
    fn an_entity_is_summed_up_in_a_line() {
        let mut scores = vec![0.5; 60];
        scores[0] = f64::NAN;
        // Within ten minutes of one another, and later again; 3 is not above its own threshold.
        (scores[10], scores[20], scores[40], scores[50]) = (1.5, 1.25, 2.0, 3.0);
        let mut thresholds = vec![1.0; 60];
        thresholds[50] = 3.0;
        let labels = Labels::from_pairs([("instance", "a")]).expect("one name");
        let backtest = Backtest {
            times_ms: (0..60).map(|minute| minute * 60_000).collect(),
            step_ms: 60_000,
            entities: vec![Scored { labels, scores, thresholds, states: Vec::new() }],
            by_feature: Vec::new(),
            feature_names: Vec::new(),
        };
        let expected = "{instance=\"a\"}: 59 of 60 steps scored, 3 above the threshold, episodes: 2, \
                        largest 3.00\n";
        assert_eq!(overview(&backtest), expected);
    }
}

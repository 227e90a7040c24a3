//! `portent evaluate`: runs a model over history and says how it would have done.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::source::SourceArgs;
use super::{Failure, Outcome};
use crate::config::Config;
use crate::evaluate::{backtest, output};
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
    let adaptive = config.global.adaptive_threshold;
    let backtest =
        backtest::run(&metadata, scorer, &history.recording, &history.features, adaptive)?;
    if let Some(path) = &args.scores {
        let input = match &query.source {
            Source::Csv(input) => Some((input.as_path(), history.recording.rows.as_slice())),
            Source::Server(_) => None,
        };
        output::write(path, &backtest, &metadata.entity, input)?;
    }
    if args.labels.is_some() || args.report.is_some() {
        bail!("not yet");
    }
    Ok(())
}

/// Whether two paths name the same file.
fn same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

//! `portent evaluate`: runs a model over history and says how it would have done.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::item::item_of;
use super::source::SourceArgs;
use super::{Failure, Outcome, command_line, say, write_file};
use crate::admission;
use crate::config::Config;
use crate::duration::Duration;
use crate::evaluate::{self, Backtest, Judgement, Settings, Tally};
use crate::files::read_whole;
use crate::history::{self, Source};
use crate::model::{Artifact, MAX_FILE_BYTES, Metadata, Runtime, Scorer};
use crate::timestamp::Zone;

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
    args.source.zone(args.labels.is_some()).map_err(Failure::Wrong)?;
    let config = Config::load(args.config_file.as_deref());
    let config = config.map_err(|error| Failure::Wrong(error.into()))?;
    let runtime = Runtime::load(config.onnxruntime.library.as_deref());
    let runtime = runtime.map_err(|error| Failure::of_model(error.into()))?;
    let model = load(&args.model, &config, &runtime).map_err(Failure::of_model)?;
    evaluate(args, &config, model).map_err(Failure::Failed)
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
    args: EvaluateArgs,
    config: &Config,
    (metadata, scorer): (Metadata, Scorer),
) -> anyhow::Result<()> {
    let name = args.model.display().to_string();
    let table_step = args.source.table_step();
    let query = args.source.query(
        config,
        metadata.features.clone(),
        metadata.entity.clone(),
        Some(metadata.step),
    )?;
    let history = history::read(&query)?;
    let (recording, features) = (&history.recording, &history.features);
    let found = Duration::from_ms(recording.step_ms);
    if let Some(asked) = table_step.filter(|asked| *asked != found) {
        bail!("the table has steps of {found}, and --step asks for {asked}: leave it out");
    }
    let backtest = evaluate::backtest(&metadata, scorer, recording, features, &config.global)?;
    if let Some(path) = &args.scores {
        let input = match &query.source {
            Source::Csv(input) => Some((input.as_path(), history.recording.rows.as_slice())),
            Source::Server(_) => None,
        };
        evaluate::write_scores(path, &backtest, &metadata.entity, input)?;
    }
    let judged = args.labels.as_deref().map(|labels| judge(&backtest, labels, query.zone.as_ref()));
    let judged = judged.transpose()?;
    if let Some(path) = &args.report {
        let judged = judged.as_ref().map(|it| (&it.judgement, it.by_step.as_slice()));
        write_file(path, &evaluate::page(&name, &backtest, judged, &command_line())?)?;
    }
    match &judged {
        Some(judged) => say(judged),
        None => say(overview(&backtest)),
    }
}

/// The scores of the only entity held against labels, and the label of each step. What has no label, or no
/// step, is not judged, nor is what is excluded.
fn judge(backtest: &Backtest, path: &Path, zone: Option<&Zone>) -> anyhow::Result<Judged> {
    let [entity] = backtest.entities.as_slice() else {
        bail!("--labels are of one entity, and the history has {}", backtest.entities.len());
    };
    let labels = history::read_labels(path, zone)?;
    let mut by_step = vec![None; backtest.times_ms.len()];
    let mut strangers = 0;
    for (time_ms, label) in &labels {
        match nearest(&backtest.times_ms, *time_ms, backtest.step_ms / 4) {
            Some(at) => by_step[at] = Some(*label || by_step[at] == Some(true)),
            None => strangers += 1,
        }
    }
    if strangers == labels.len() {
        bail!("{}: no label has the time of any step of the history", path.display());
    }
    let is_judged = |at: &usize| by_step[*at].is_some() && !entity.is_excluded(*at);
    let steps: Vec<usize> = (0..by_step.len()).filter(is_judged).collect();
    if steps.is_empty() {
        bail!("{}: every step with a label is excluded", path.display());
    }
    let of_steps = |of: &[f64]| steps.iter().map(|at| of[*at]).collect::<Vec<f64>>();
    let times_ms: Vec<i64> = steps.iter().map(|at| backtest.times_ms[*at]).collect();
    let flags: Vec<bool> = steps.iter().map(|at| by_step[*at] == Some(true)).collect();
    let (scores, thresholds) = (of_steps(&entity.scores), of_steps(&entity.thresholds));
    let settings = Settings::for_step(backtest.step_ms);
    Ok(Judged {
        judgement: evaluate::judge(&times_ms, &scores, &flags, &thresholds, &settings)?,
        by_step: by_step.iter().map(|it| *it == Some(true)).collect(),
        strangers: [strangers, labels.len()],
        without: [by_step.iter().filter(|it| it.is_none()).count(), by_step.len()],
    })
}

/// Scores held against labels.
struct Judged {
    judgement: Judgement,
    by_step: Vec<bool>,
    /// Labels of no step, and all labels.
    strangers: [usize; 2],
    /// Steps without a label, and all steps.
    without: [usize; 2],
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.judgement)?;
        let [strangers, labels] = self.strangers;
        if strangers > 0 {
            writeln!(
                f,
                "left out: {strangers} of {labels} labels, of times that are no step of the history"
            )?;
        }
        let [without, steps] = self.without;
        if without > 0 {
            writeln!(f, "left out: {without} of {steps} steps, without a label")?;
        }
        Ok(())
    }
}

/// The step whose time is nearest, within so much.
fn nearest(times_ms: &[i64], time_ms: i64, within_ms: i64) -> Option<usize> {
    let after = times_ms.partition_point(|it| *it < time_ms);
    let both = after.saturating_sub(1)..(after + 1).min(times_ms.len());
    let near = both.min_by_key(|at| (times_ms[*at] - time_ms).abs())?;
    let distance_ms = (times_ms[near] - time_ms).abs();
    (distance_ms == 0 || distance_ms < within_ms).then_some(near)
}

/// What there is to say without labels.
fn overview(backtest: &Backtest) -> String {
    let mut text = String::new();
    for entity in &backtest.entities {
        let Tally { scored, above, episodes, largest, excluded } = backtest.tally(entity);
        let name = match entity.labels.is_empty() {
            true => String::new(),
            false => format!("{}: ", entity.labels),
        };
        let excluded = match excluded {
            0 => String::new(),
            excluded => format!(" ({excluded} excluded)"),
        };
        text.push_str(&format!(
            "{name}{scored} of {} steps scored{excluded}, {above} above the threshold, episodes: {episodes}, \
             largest {largest:.2}\n",
            entity.scores.len()
        ));
    }
    text
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
            entities: vec![Scored {
                labels,
                scores,
                thresholds,
                states: Vec::new(),
                excluded: Vec::new(),
            }],
            by_feature: Vec::new(),
            feature_names: Vec::new(),
        };
        let expected = "{instance=\"a\"}: 59 of 60 steps scored, 3 above the threshold, episodes: 2, \
                        largest 3.00\n";
        assert_eq!(overview(&backtest), expected);
    }
}

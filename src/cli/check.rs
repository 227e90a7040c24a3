//! `portent check`: says whether a configuration or a model can be used, and what is in it.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};

use super::alerts;
use super::features::{self, FeaturesArgs};
use super::item::item_of;
use super::model_file::read;
use super::{ExitResult, Failure, say};
use crate::admission;
use crate::config::Config;
use crate::duration::Duration;
use crate::features::{Features, PROFILE_VERSION, ProfileFeature, profile_guide};
use crate::model::{
    AdaptiveThreshold, Artifact, ArtifactError, FeatureRange, Metadata, ModelConfig, Port, Runtime,
    Scorer,
};

/// What to check.
#[derive(Debug, Subcommand)]
pub(super) enum Check {
    /// Check a configuration file and the models it names.
    Config(ConfigArgs),
    /// Check a model file and print what it contains.
    Model(ModelArgs),
    /// Ask a server whether it has what features need, and say what to change if it has not: missing
    /// metrics, rules that drop them, scrapes that are too rare, remote_write and honor_labels.
    Features(FeaturesArgs),
    /// Check who is told of alerts, and try it.
    Alerts(AlertsArgs),
}

/// Flags of `check config`.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// Portent configuration file; the built-in configuration without one.
    file: Option<PathBuf>,
    /// Print the configuration with every default.
    #[arg(long)]
    print: bool,
    /// Print the write_relabel_configs by which Prometheus sends what the features need, and nothing else.
    #[arg(long, conflicts_with = "print")]
    print_relabel: bool,
    /// With --print-relabel: an ONNX file whose features are used, instead of those of all models.
    #[arg(long, value_name = "FILE", requires = "print_relabel")]
    model: Option<PathBuf>,
}

/// Flags of `check model`.
#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    /// ONNX file; the model that Portent ships with, without one.
    file: Option<PathBuf>,
    /// Portent configuration file: for a model from elsewhere, its item of `models` with that file.
    #[arg(long = "config.file", value_name = "FILE", requires = "file")]
    config_file: Option<PathBuf>,
}

/// Flags of `check alerts`.
#[derive(Debug, Args)]
pub(super) struct AlertsArgs {
    /// Portent configuration file.
    file: PathBuf,
    /// Send a marked test alert to every receiver and say what each answered.
    #[arg(long)]
    send_test: bool,
}

pub(super) fn run(check: Check) -> ExitResult {
    match check {
        Check::Config(args) => config(&args),
        Check::Model(args) => model(&args),
        Check::Features(args) => features::run(&args),
        Check::Alerts(args) => alerts::run(&args.file, args.send_test),
    }
}

fn config(args: &ConfigArgs) -> ExitResult {
    let wrong = |error: anyhow::Error| Failure::Wrong(error);
    let config = Config::load(args.file.as_deref()).map_err(|error| wrong(error.into()))?;
    if args.print_relabel {
        let rule = features::relabel(&config, args.model.as_deref()).map_err(wrong)?;
        return say(rule).map_err(Failure::Failed);
    }
    if args.print {
        say(config.to_yaml()).map_err(Failure::Failed)?;
        if config.models.iter().any(|it| it.file.is_none() && it.features.is_none()) {
            say(guide()).map_err(Failure::Failed)?;
        }
    }
    let named = [
        ("history.http_config", config.history.files()),
        ("notify", config.notify.files()),
        ("actions", config.actions.files()),
    ];
    for (section, files) in named {
        if let Some(file) = files.iter().find(|file| !file.exists()) {
            let text = format!("{section}: {} is not there", file.display());
            return Err(wrong(anyhow!(text)));
        }
    }
    let runtime = runtime(config.onnxruntime.library.as_deref())?;
    let mut lines = String::new();
    for model in &config.models {
        let name = &model.name;
        let told = configured(&runtime, model, &config, args.file.as_deref());
        let told = told.with_context(|| format!("model {name:?}")).map_err(Failure::of_model)?;
        told.iter().for_each(|line| lines += &format!("  {name}: {line}\n"));
    }
    if !args.print {
        let name = args
            .file
            .as_ref()
            .map_or("the built-in configuration".to_owned(), |file| file.display().to_string());
        let models = if config.models.len() == 1 { "model" } else { "models" };
        let text = format!("{name} is valid: {} {models}\n{lines}", config.models.len());
        say(text).map_err(Failure::Failed)?;
    }
    Ok(())
}

/// Finds ONNX Runtime. A path that the configuration names wrongly is wrong configuration.
fn runtime(configured: Option<&Path>) -> Result<Runtime, Failure> {
    Runtime::load(configured).map_err(|error| Failure::of_model(error.into()))
}

/// What the outputs of a configured model are taken for. A file that is not there yet is no mistake:
/// training makes it, by this very configuration.
fn configured(
    runtime: &Runtime,
    model: &ModelConfig,
    config: &Config,
    config_file: Option<&Path>,
) -> anyhow::Result<Vec<String>> {
    let config_file = config_file.map_or("FILE".to_owned(), |it| it.display().to_string());
    if let Some(file) = model.file.as_deref().filter(|file| !file.exists()) {
        let (file, name) = (file.display(), &model.name);
        return Ok(vec![format!(
            "{file} is not there yet: `portent train --config.file {config_file} --model {name} --output \
             {file} --prometheus.url URL --start -14d` makes it"
        )]);
    }
    let artifact = read(model.file.as_deref())?;
    let metadata = match artifact.resolve(model) {
        Err(error @ ArtifactError::Untrained { .. }) => {
            let named = format!("--config.file {config_file}");
            return Ok(vec![error.to_string().replace("--config.file FILE", &named)]);
        }
        resolved => resolved?,
    };
    Features::parse(&metadata.features, &metadata.entity)?;
    if model.file.is_some() {
        admission::admit(artifact.bytes(), model, config.onnxruntime.library.as_deref())?;
    }
    Ok(meanings(&artifact, &Scorer::new(runtime, &artifact, &metadata)?))
}

/// What each output is taken for.
fn meanings(artifact: &Artifact, scorer: &Scorer) -> Vec<String> {
    let meaning = |port: &Port| match scorer.taken_for(&port.name) {
        Some(meaning) => format!("output {} is {meaning}", port.name),
        None => format!("output {} is not read", port.name),
    };
    artifact.outputs().iter().map(meaning).collect()
}

/// What the configuration says of the file, which it must name.
fn told(config: &Config, args: &ModelArgs) -> anyhow::Result<ModelConfig> {
    let (Some(named), Some(file)) = (&args.config_file, &args.file) else {
        return Ok(ModelConfig::default());
    };
    let none = || {
        let (named, file) = (named.display(), file.display());
        anyhow!("{named}: no item of `models` has the file {file}: write one with `file: {file}`")
    };
    item_of(config, file)?.cloned().ok_or_else(none)
}

fn model(args: &ModelArgs) -> ExitResult {
    let config = Config::load(args.config_file.as_deref());
    let config = config.map_err(|error| Failure::Wrong(error.into()))?;
    let library = config.onnxruntime.library.as_deref();
    let artifact = read(args.file.as_deref()).map_err(Failure::Wrong)?;
    let mut text = String::new();
    for (kind, ports) in [("input", artifact.inputs()), ("output", artifact.outputs())] {
        ports.iter().for_each(|port| text += &format!("{kind:<12} {port}\n"));
    }
    let told = told(&config, args).map_err(Failure::Wrong)?;
    let metadata = artifact.resolve(&told);
    if let (Err(error), Some(file)) = (&metadata, &args.config_file) {
        let error = anyhow!("{}: model {:?}: {error}", file.display(), told.name);
        return Err(Failure::Wrong(error));
    }
    let runtime = runtime(library)?;
    if metadata.is_ok() && args.file.is_some() {
        let admitted = admission::admit(artifact.bytes(), &told, library);
        admitted.map_err(|error| Failure::of_model(error.into()))?;
    }
    let scorer = match (&metadata, artifact.dimensions()) {
        (Ok(metadata), _) => Some(Scorer::new(&runtime, &artifact, metadata)),
        (Err(_), Some((features, window))) => {
            Some(Scorer::of(&runtime, &artifact, features, window))
        }
        (Err(_), None) => None,
    };
    let trial = match scorer.transpose().map_err(|error| Failure::Wrong(error.into()))? {
        Some(scorer) => meanings(&artifact, &scorer),
        None => vec!["none: the input does not say how many features there are".to_owned()],
    };
    trial.iter().for_each(|line| text += &format!("{:<12} {line}\n", "trial"));
    text += &match metadata {
        Ok(metadata) => description(&metadata),
        // A foreign model: everything else comes from the configuration.
        Err(error) => format!(
            "metadata     none that can be used alone: {error}; with --config.file, that file's item \
             of `models` is used\n"
        ),
    };
    say(text).map_err(Failure::Failed)
}

/// What metadata say, line by line.
fn description(metadata: &Metadata) -> String {
    let mut lines: Vec<(&str, String)> = vec![
        ("entity", metadata.entity.join(", ")),
        ("step", format!("{}, window of {}", metadata.step, metadata.window)),
    ];
    lines.extend(memory(metadata));
    lines.push(("threshold", format!("{} ({})", metadata.threshold, metadata.threshold_method)));
    lines.extend(metadata.adaptive_threshold.map(|spec| ("adaptive", adaptive(&spec))));
    let time = |ms: Option<i64>| ms.map_or("unknown".to_owned(), crate::timestamp::format_ms);
    let [from, to] = [metadata.trained_from_ms, metadata.trained_to_ms].map(time);
    lines.push(("trained", format!("from {from} to {to}")));
    if let Some(scores) = &metadata.training_scores {
        let text = format!(
            "{} rows, mean error {:.3e}, largest {:.3e}, {:.2} % above the threshold",
            scores.rows,
            scores.mean_error,
            scores.max_error,
            100.0 * scores.above_threshold
        );
        lines.push(("scores", text));
    }
    lines.push(("features", metadata.features.len().to_string()));
    lines.extend(metadata.profile.map(|version| ("profile", profile(version))));
    let line = |(name, text): &(&str, String)| format!("{name:<12} {text}\n");
    let mut description: String = lines.iter().map(line).collect();
    for (place, feature) in metadata.features.iter().enumerate() {
        let expr = feature.expr.split_whitespace().collect::<Vec<_>>().join(" ");
        let (name, missing, absence) = (&feature.name, feature.missing, feature.absence);
        let range = metadata.ranges.get(place).copied().flatten().map(range).unwrap_or_default();
        description +=
            &format!("  {name:<24} {expr}  [missing: {missing}, absence: {absence}{range}]\n");
    }
    description
}

/// Where a feature was in training.
fn range(FeatureRange { lower, upper }: FeatureRange) -> String {
    format!(", range: {lower} to {upper}")
}

/// What the features of the built-in profile mean, as comments.
fn guide() -> String {
    let lines = profile_guide().into_iter().map(|feature| {
        let ProfileFeature { spec, meaning, unit, domain: [least, most], fallback } = feature;
        format!("#   {}: {meaning}; {unit}, {least} to {most}; fallback: {fallback}\n", spec.name)
    });
    format!("# The features of the built-in profile:\n{}", lines.collect::<String>())
}

/// Of which built-in profile the features are.
fn profile(version: u32) -> String {
    match version {
        PROFILE_VERSION => format!("version {version}, that of this program"),
        _ => format!("version {version}; that of this program is {PROFILE_VERSION}"),
    }
}

/// What serving remembers of each entity for the model.
fn memory(metadata: &Metadata) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if !metadata.smoothing.is_empty() {
        let spans: Vec<String> = metadata.smoothing.iter().map(ToString::to_string).collect();
        let power = match metadata.smoothing_power {
            2.0 => " of squares, so that peaks count for more".to_owned(),
            power if power > 1.0 => format!(" of powers of {power}, so that peaks count for more"),
            _ => String::new(),
        };
        let several = if spans.len() > 1 { ", and the mean of these" } else { "" };
        let text =
            format!("exponential mean over {} steps{power}{several}", spans.join(" and over "));
        lines.push(("smoothing", text));
    }
    if let Some(level) = &metadata.level {
        let half_life_ms = level.half_life * metadata.step.as_ms() as f64;
        let half_life = Duration::from_ms(half_life_ms.round() as i64);
        lines.push(("level", format!("half-life {half_life} ({} steps)", level.half_life)));
    }
    if let Some(still) = &metadata.still {
        let usual = Duration::from_ms(i64::from(still.usual) * metadata.step.as_ms());
        let text = match still.features.len() {
            1 => format!("1 feature hardly ever does, for {usual} at the longest"),
            all => format!("{all} features hardly ever do, all at once for {usual} at the longest"),
        };
        lines.push(("stands still", text));
    }
    if !metadata.entities.is_empty() {
        lines.push(("known", format!("{} entities, told apart", metadata.entities.len())));
    }
    let remembered = &metadata.remembered;
    if !remembered.is_empty() {
        let levels = remembered.iter().filter(|it| it.level.is_some()).count();
        let hours = remembered.iter().filter(|it| it.hours.is_some()).count();
        let entities = remembered.len();
        lines.push((
            "remembered",
            format!(
                "{entities} entities of training: the level of {levels}, the last hours of {hours}"
            ),
        ));
    }
    lines
}

fn adaptive(spec: &AdaptiveThreshold) -> String {
    let AdaptiveThreshold { hours_per_week, same_hour } = spec;
    let same_hour = if *same_hour { " or at the same hour on five of seven days," } else { "" };
    format!(
        "in force is what the entity's own score reached in more than {hours_per_week} hours of a \
         week,{same_hour} or for the last two hours"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{FeatureSpec, Missing};
    use crate::model::{HourlyMaxima, LevelSpec, Remembered, ScoreSummary, StillSpec};

    #[track_caller]
    fn check(change: impl FnOnce(&mut Metadata), expected: &str) {
        let swap = FeatureSpec::new("swap", "swap_used\n  / swap_size").or(Missing::Fill(0.0));
        let features = vec![FeatureSpec::new("up", "up"), swap];
        let entity = ["job", "instance"].map(str::to_owned).to_vec();
        let mut metadata = Metadata::new(features, entity, Duration::from_seconds(60));
        change(&mut metadata);
        assert_eq!(description(&metadata), expected);
    }

    #[test]
    fn a_plain_model_is_described_shortly() {
        check(
            |_| {},
            "entity       job, instance\n\
             step         1m, window of 1\n\
             threshold    1 (none)\n\
             trained      from unknown to unknown\n\
             features     2\n  \
               up                       up  [missing: mask, absence: anomalous]\n  \
               swap                     swap_used / swap_size  [missing: fill 0, absence: anomalous]\n",
        );
    }

    #[test]
    fn where_features_were_in_training_is_described() {
        check(
            |it| it.ranges = vec![None, Some(FeatureRange { lower: -0.1, upper: 2.5e6 })],
            "entity       job, instance\n\
             step         1m, window of 1\n\
             threshold    1 (none)\n\
             trained      from unknown to unknown\n\
             features     2\n  \
               up                       up  [missing: mask, absence: anomalous]\n  \
               swap                     swap_used / swap_size  [missing: fill 0, absence: anomalous, \
             range: -0.1 to 2500000]\n",
        );
    }

    #[test]
    fn what_a_model_remembers_is_described() {
        check(
            |it| {
                it.features.truncate(1);
                it.window = 10;
                it.smoothing = vec![3.0, 7.5];
                it.smoothing_power = 1.5;
                it.level = Some(LevelSpec {
                    half_life: 4_320.0,
                    prior: 60.0,
                    clip: 5.0,
                    mean: vec![0.0],
                    scale: vec![1.0],
                    floor: vec![0.1],
                    entities: Vec::new(),
                });
                it.entities = vec![vec!["node".to_owned(), "a".to_owned()]; 3];
                let entity = |name: &str| vec!["node".to_owned(), name.to_owned()];
                let start = it.level.as_ref().expect("it was set").start();
                let hours = HourlyMaxima { last_hour: 0, scores: vec![Some(0.5)] };
                it.remembered = vec![
                    Remembered::new(entity("a")).with_level(start.clone()),
                    Remembered::new(entity("b")).with_level(start).with_hours(Some(hours)),
                ];
                it.threshold = 2.5;
                it.threshold_method = "budget 1".to_owned();
                it.still = Some(StillSpec { features: vec!["up".to_owned()], usual: 90 });
                it.adaptive_threshold = Some(AdaptiveThreshold::default());
                it.trained_from_ms = Some(0);
                it.trained_to_ms = Some(60_000);
                it.training_scores = Some(ScoreSummary {
                    rows: 7,
                    mean_error: 0.5,
                    max_error: 3.0,
                    above_threshold: 0.125,
                });
            },
            "entity       job, instance\n\
             step         1m, window of 10\n\
             smoothing    exponential mean over 3 and over 7.5 steps of powers of 1.5, so that peaks count \
             for more, and the mean of these\n\
             level        half-life 3d (4320 steps)\n\
             stands still 1 feature hardly ever does, for 1h30m at the longest\n\
             known        3 entities, told apart\n\
             remembered   2 entities of training: the level of 2, the last hours of 1\n\
             threshold    2.5 (budget 1)\n\
             adaptive     in force is what the entity's own score reached in more than 11 hours \
             of a week, or at the same hour on five of seven days, or for the last two hours\n\
             trained      from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n\
             scores       7 rows, mean error 5.000e-1, largest 3.000e0, 12.50 % above the threshold\n\
             features     1\n  \
               up                       up  [missing: mask, absence: anomalous]\n",
        );
        check(
            |it| {
                it.features.truncate(1);
                it.smoothing = vec![10.0];
            },
            "entity       job, instance\n\
             step         1m, window of 1\n\
             smoothing    exponential mean over 10 steps\n\
             threshold    1 (none)\n\
             trained      from unknown to unknown\n\
             features     1\n  \
               up                       up  [missing: mask, absence: anomalous]\n",
        );
    }
}

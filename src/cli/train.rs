//! `portent train`: makes a model from Prometheus's history or from a CSV file.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail};
use clap::Args;

use super::{Failure, Outcome};
use crate::config::Config;
use crate::duration::Duration;
use crate::features::{PROFILE_ENTITY, profile};
use crate::model::ModelConfig;
use crate::timestamp;
use crate::train::{self, Options, Source};

/// The step when neither a flag nor the model says one: Prometheus's usual evaluation interval.
const DEFAULT_STEP: Duration = Duration::from_seconds(15);

/// Flags of `train`.
#[derive(Debug, Args)]
pub(super) struct TrainArgs {
    /// Portent configuration file; the built-in configuration without one.
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// The model of the configuration to train; the first without it.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Prometheus, or anything that answers its query_range.
    #[arg(long = "prometheus.url", value_name = "URL", conflicts_with = "input")]
    prometheus_url: Option<String>,
    /// Start of the history: RFC 3339, seconds since 1970, or relative to now such as -14d.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, requires = "prometheus_url")]
    start: Option<String>,
    /// End of the history, written likewise.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, default_value = "now")]
    end: String,
    /// Distance between two steps of the history; the model's step without it.
    #[arg(long, value_name = "DURATION")]
    step: Option<Duration>,
    /// CSV file, gzipped or not: a timestamp, then one column for each feature.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The model file to write.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Decides initial weights and the order of rows; that of the configuration without it.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

pub(super) fn run(args: TrainArgs) -> Outcome {
    let options = options(args).map_err(Failure::Wrong)?;
    let summary = train::run(&options).map_err(|error| Failure::Failed(error.into()))?;
    print!("{summary}");
    Ok(())
}

fn options(args: TrainArgs) -> anyhow::Result<Options> {
    let config = Config::load(args.config_file.as_deref())?;
    let model = choose(&config, args.model.as_deref())?;
    let source = match (args.prometheus_url, args.input) {
        (Some(url), None) => {
            let now_ms = now_ms();
            let start = args.start.context("--start is needed with --prometheus.url")?;
            let start_ms = moment(&start, now_ms).context("--start")?;
            let end_ms = moment(&args.end, now_ms).context("--end")?;
            if start_ms >= end_ms {
                bail!("--start {start} is not before --end {}", args.end);
            }
            let step = args.step.or(model.step).unwrap_or(DEFAULT_STEP);
            if step.as_ms() == 0 {
                bail!("--step must be above 0");
            }
            Source::Prometheus { url, start_ms, end_ms, step }
        }
        (None, Some(path)) => Source::Csv(path),
        _ => bail!("say what to train on: --prometheus.url URL or --input FILE"),
    };
    let mut train = config.train.clone();
    train.seed = args.seed.unwrap_or(train.seed);
    Ok(Options {
        config: train,
        model: model.clone(),
        features: model.features.clone().unwrap_or_else(profile),
        entity: model.entity.clone().unwrap_or_else(|| PROFILE_ENTITY.map(str::to_owned).to_vec()),
        source,
        output: args.output,
        onnxruntime: config.onnxruntime.library.clone(),
    })
}

fn choose<'a>(config: &'a Config, name: Option<&str>) -> anyhow::Result<&'a ModelConfig> {
    let Some(name) = name else {
        return Ok(&config.models[0]);
    };
    let names = || config.models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>();
    let found = config.models.iter().find(|model| model.name == name);
    found.ok_or_else(|| {
        anyhow!("there is no model {name:?} in the configuration, only {:?}", names())
    })
}

/// Milliseconds since 1970 of what the user wrote.
fn moment(text: &str, now_ms: i64) -> anyhow::Result<i64> {
    if text == "now" {
        return Ok(now_ms);
    }
    match text.strip_prefix('-') {
        Some(ago) => Ok(now_ms - ago.parse::<Duration>()?.as_ms()),
        None => Ok(timestamp::parse_ms(text)?),
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_absolute_or_relative() {
        let now = 1_800_000_000_000;
        let at = |text| moment(text, now).ok();
        assert_eq!(at("now"), Some(now));
        assert_eq!(at("-1h30m"), Some(now - 5_400_000));
        assert_eq!(at("1795428900.5"), Some(1_795_428_900_500));
        assert_eq!(at("2026-11-23T10:15:00Z"), Some(1_795_428_900_000));
        assert_eq!(at("-yesterday"), None);
        assert_eq!(at("yesterday"), None);
    }
}

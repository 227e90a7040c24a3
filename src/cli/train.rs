//! `portent train`: makes a model from Prometheus's history or from a CSV file.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

use super::next::serving;
use super::outputs;
use super::reproduce::command_line;
use super::source::SourceArgs;
use super::{ExitResult, Failure, say, whole_number, write_file};
use crate::config::Config;
use crate::features::{PROFILE_ENTITY, profile};
use crate::model::ModelConfig;
use crate::train::tune::TrialBudget;
use crate::train::{self, Options, TrainError};

/// Flags of `train`.
#[derive(Debug, Args)]
pub(super) struct TrainArgs {
    /// Portent configuration file; the built-in configuration without one.
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// The model of the configuration to train; the first without it.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    #[command(flatten)]
    source: SourceArgs,
    /// A range to learn from although it stands out: START..END, as for --exclude. May be
    /// repeated.
    #[arg(long, value_name = "START..END", allow_hyphen_values = true)]
    keep: Vec<String>,
    /// The model file to write.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Write a page with plots.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Try this many combinations of sizes, learning rates, windows and scalings of the network, each this
    /// many times, and take the one that detects known faults best, as in 30 or 30x2. For models with a
    /// network.
    #[arg(long, value_name = "TRIALS[xEXECUTIONS]")]
    tune: Option<TrialBudget>,
    /// Determines initial weights and the order of rows. Without it: the seed of the configuration.
    #[arg(long, value_name = "NUMBER", value_parser = whole_number)]
    seed: Option<u64>,
}

pub(super) fn run(args: TrainArgs) -> ExitResult {
    let (report, config_file) = (args.report.clone(), args.config_file.clone());
    let config = Config::load(config_file.as_deref());
    let config = config.map_err(|error| Failure::Wrong(error.into()))?;
    let options = options(args, &config).map_err(Failure::Wrong)?;
    outputs::check(&[("--output", Some(&options.output)), ("--report", report.as_deref())])?;
    let summary = train::run(&options).map_err(failure)?;
    if let Some(path) = report {
        let command = command_line(&options.history, &options.keep);
        write_file(&path, &train::page(&summary, &command)).map_err(Failure::Failed)?;
    }
    let next = serving(&config, config_file.as_deref(), &options.model.name, &options.output);
    say(format!("{summary}{next}")).map_err(Failure::Failed)
}

/// Why there is no model: for what was typed or configured, or for another reason.
fn failure(error: TrainError) -> Failure {
    match error {
        TrainError::Config(_) | TrainError::Tune(_) => Failure::Wrong(error.into()),
        TrainError::Runtime(error) => Failure::of_model(error.into()),
        TrainError::History(error) => Failure::of_history(error),
        error => Failure::Failed(error.into()),
    }
}

fn options(args: TrainArgs, config: &Config) -> anyhow::Result<Options> {
    let model = choose(config, args.model.as_deref())?;
    let features = model.features.clone().unwrap_or_else(profile);
    let entity = model.entity.clone();
    let entity = entity.unwrap_or_else(|| PROFILE_ENTITY.map(str::to_owned).to_vec());
    args.source.zone(false)?;
    let keep = args.source.spans("--keep", &args.keep, model.step)?;
    let model = ModelConfig { step: args.source.table_step().or(model.step), ..model.clone() };
    let history = args.source.query(config, features, entity, model.step)?;
    let mut train = config.train.clone();
    train.seed = args.seed.unwrap_or(train.seed);
    Ok(Options {
        config: train,
        global: config.global.clone(),
        model,
        history,
        keep,
        tune: args.tune,
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

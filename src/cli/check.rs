//! `portent check`: says whether a configuration or a model can be used, and what is in it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};

use super::{Failure, Outcome};
use crate::config::Config;
use crate::features::Features;
use crate::model::{Artifact, Metadata, ModelConfig, shipped};

/// What to check.
#[derive(Debug, Subcommand)]
pub(super) enum Check {
    /// Check a configuration file and the models it names.
    Config(ConfigArgs),
    /// Check a model file and print what it says of itself.
    Model(ModelArgs),
}

/// Flags of `check config`.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// Portent configuration file; the built-in configuration without one.
    file: Option<PathBuf>,
    /// Print the configuration with every default.
    #[arg(long)]
    print: bool,
}

/// Flags of `check model`.
#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    /// ONNX file; the model that Portent ships with, without one.
    file: Option<PathBuf>,
}

pub(super) fn run(check: Check) -> Outcome {
    match check {
        Check::Config(args) => config(&args),
        Check::Model(args) => model(&args),
    }
}

fn config(args: &ConfigArgs) -> Outcome {
    let wrong = |error: anyhow::Error| Failure::Wrong(error);
    let config = Config::load(args.file.as_deref()).map_err(|error| wrong(error.into()))?;
    for model in &config.models {
        let artifact = read(model.file.as_deref()).map_err(wrong)?;
        let metadata = artifact
            .resolve(model)
            .with_context(|| format!("model {:?}", model.name))
            .map_err(wrong)?;
        Features::parse(&metadata.features, &metadata.entity)
            .with_context(|| format!("model {:?}", model.name))
            .map_err(wrong)?;
    }
    if args.print {
        print!("{}", config.to_yaml());
    } else {
        let name = args
            .file
            .as_ref()
            .map_or("the built-in configuration".to_owned(), |file| file.display().to_string());
        println!("{name} is valid: {} model(s)", config.models.len());
    }
    Ok(())
}

fn model(args: &ModelArgs) -> Outcome {
    let artifact = read(args.file.as_deref()).map_err(Failure::Wrong)?;
    for (kind, ports) in [("input", artifact.inputs()), ("output", artifact.outputs())] {
        for port in ports {
            println!("{kind:<12} {port}");
        }
    }
    match artifact.resolve(&ModelConfig::default()) {
        Ok(metadata) => print(&metadata),
        // A foreign model: everything else comes from the configuration.
        Err(error) => println!("metadata     none that can be used alone: {error}"),
    }
    Ok(())
}

fn print(metadata: &Metadata) {
    let time = |ms: Option<i64>| ms.map_or("unknown".to_owned(), crate::timestamp::format_ms);
    println!("entity       {}", metadata.entity.join(", "));
    println!("step         {}, window of {}", metadata.step, metadata.window);
    println!("threshold    {} ({})", metadata.threshold, metadata.threshold_method);
    println!(
        "trained      from {} to {}",
        time(metadata.trained_from_ms),
        time(metadata.trained_to_ms)
    );
    if let Some(validation) = &metadata.validation {
        println!(
            "validation   {} rows, mean error {:.3e}, largest {:.3e}, {:.2} % above the threshold",
            validation.rows,
            validation.mean_error,
            validation.max_error,
            100.0 * validation.above_threshold
        );
    }
    println!("features     {}", metadata.features.len());
    for feature in &metadata.features {
        let expr = feature.expr.split_whitespace().collect::<Vec<_>>().join(" ");
        println!("  {:<24} {expr}  [missing: {}]", feature.name, feature.missing);
    }
}

/// The model in a file, or the shipped one.
fn read(file: Option<&Path>) -> anyhow::Result<Artifact> {
    let bytes = match file {
        Some(path) => std::fs::read(path)
            .with_context(|| format!("cannot read model {}", path.display()))?
            .into(),
        None => shipped(),
    };
    let name = file.map_or("the shipped model".to_owned(), |path| path.display().to_string());
    Artifact::read(bytes).with_context(|| format!("model {name}"))
}

//! Loading: from a configuration to models that are ready to score.

use std::path::Path;

use anyhow::Context;
use bytes::Bytes;

use super::patience::Patience;
use crate::admission;
use crate::bytesize::ByteSize;
use crate::config::Config;
use crate::detect::LoadedModel;
use crate::exporter::ModelInfo;
use crate::files::read_whole;
use crate::model::{Artifact, MAX_FILE_BYTES, ModelConfig, Runtime, Scorer, shipped};
use crate::series::StorageConfig;

/// Loads every model, and says within which limits series are to be stored.
pub(super) fn load(config: &Config) -> anyhow::Result<(Vec<LoadedModel>, StorageConfig)> {
    let library = config.onnxruntime.library.as_deref();
    let runtime = Runtime::load(library)?;
    let mut models = Vec::with_capacity(config.models.len());
    for config in &config.models {
        let model = model(&runtime, config, library);
        let model = model.with_context(|| format!("model {:?}", config.name))?;
        tell(&model, config);
        models.push(model);
    }
    Ok((models, within(config.storage.clone(), admission::memory_limit())))
}

/// The storage's limits for a process that may use so much memory, of which one half is for requests under
/// way, answers, models and what the allocator has not given back.
fn within(storage: StorageConfig, memory: Option<u64>) -> StorageConfig {
    let configured = storage.max_bytes;
    let half = memory.map_or(u64::MAX, |bytes| bytes / 2);
    let max_bytes = ByteSize::from_bytes(configured.as_bytes().min(half));
    if max_bytes < configured {
        tracing::info!(
            max_bytes = %max_bytes,
            configured = %configured,
            "memory for series and what is learnt of hosts: half of what this process may use, which is \
             less than storage.max_bytes"
        );
    } else {
        tracing::info!(max_bytes = %max_bytes, "memory for series and what is learnt of hosts");
    }
    StorageConfig { max_bytes, ..storage }
}

/// Loads one of them once more.
pub(super) fn load_again(config: &Config, name: &str) -> anyhow::Result<LoadedModel> {
    let library = config.onnxruntime.library.as_deref();
    let config = config.models.iter().find(|it| it.name == name);
    let config = config.context("it is no longer configured")?;
    model(&Runtime::load(library)?, config, library)
}

fn model(
    runtime: &Runtime,
    config: &ModelConfig,
    library: Option<&Path>,
) -> anyhow::Result<LoadedModel> {
    let context = || file_name(config);
    let bytes = match &config.file {
        Some(path) => {
            let bytes = read_whole(path, MAX_FILE_BYTES as u64).with_context(context)?;
            // Only what has done no harm elsewhere is loaded here.
            admission::admit(&bytes, config, library).with_context(context)?;
            Bytes::from(bytes)
        }
        None => shipped(),
    };
    let artifact = Artifact::read(bytes).with_context(context)?;
    let metadata = artifact.resolve(config).with_context(context)?;
    let mut scorer = Scorer::new(runtime, &artifact, &metadata).with_context(context)?;
    scorer.set_watch(Box::new(Patience::new().context("cannot start a thread")?));
    Ok(LoadedModel { name: config.name.clone(), metadata, scorer, digest: artifact.digest() })
}

fn tell(LoadedModel { metadata, .. }: &LoadedModel, config: &ModelConfig) {
    tracing::info!(
        model = config.name,
        file = file_name(config),
        features = metadata.features.len(),
        window = metadata.window,
        step = %metadata.step,
        threshold = metadata.threshold,
        "model loaded"
    );
    if config.file.is_none() {
        tracing::info!(
            model = config.name,
            "the shipped model was not trained on your hosts; one that is finds more: \
             portent train --prometheus.url URL --start -14d --step 1m --output FILE"
        );
    }
}

fn file_name(config: &ModelConfig) -> String {
    let file = config.file.as_deref().map(|path| path.display().to_string());
    file.unwrap_or_else(|| "the shipped model".to_owned())
}

/// What the metrics page says about the models.
pub(super) fn infos(models: &[LoadedModel]) -> Vec<ModelInfo> {
    models
        .iter()
        .map(|model| ModelInfo {
            model: model.name.clone(),
            features: model.metadata.features.len(),
            window: model.metadata.window,
            threshold_method: model.metadata.threshold_method.clone(),
            trained_to_ms: model.metadata.trained_to_ms,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_is_configured_or_half_of_what_there_is() {
        let max_bytes = |memory| within(StorageConfig::default(), memory).max_bytes.as_bytes();
        assert_eq!(max_bytes(None), 4 << 30);
        assert_eq!(max_bytes(Some(16 << 30)), 4 << 30);
        assert_eq!(max_bytes(Some(1 << 30)), 512 << 20);
    }
}

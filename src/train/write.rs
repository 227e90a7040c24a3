//! Writing: a model's file appears under its name only after it has been proven.
//!
//! In: bytes and a path. Out: the file, or an error and whatever was there before. The file is
//! written beside its destination, read back as serving reads it, held against the trainer's own
//! arithmetic, and renamed.

use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use ndarray::Array1;

use super::dataset::{Dataset, Place, Split};
use super::leveling::{self, Levelled};
use super::own::Models;
use super::run::TrainError;
use crate::model::{Artifact, ArtifactError, Context, Metadata, ModelConfig, Runtime, Scorer};

/// How far the graph's errors may be from the trainer's: float32 has seven digits, of which sums of
/// some hundred terms lose one or two.
const TOLERANCE: f64 = 1e-5;

/// Below this errors are compared absolutely: they are made of differences of values about as large
/// as 1, and thresholds lie about here.
const SMALL: f64 = 1.0;

/// Windows that the comparison takes, at most.
const COMPARED: usize = 10_000;

/// Writes beside the destination, proves what was written, and renames.
pub(super) fn write(
    path: &Path,
    bytes: &Bytes,
    prove: impl FnOnce(Bytes) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    let failed = |source| TrainError::Write { path: path.to_path_buf(), source };
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    // Another run for the same file has another process number.
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = || -> Result<(), TrainError> {
        let mut file = std::fs::File::create(&temporary).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        // The name must not outlive a crash that the bytes do not.
        file.sync_all().map_err(failed)?;
        prove(std::fs::read(&temporary).map_err(failed)?.into())?;
        std::fs::rename(&temporary, path).map_err(failed)
    };
    written().inspect_err(|_| {
        // It may never have been made; the error to report is the first one.
        let _ = std::fs::remove_file(&temporary);
    })
}

/// Loads a file as serving does and compares it with the trainer's arithmetic on validation windows.
pub(super) fn prove(
    runtime: &Runtime,
    bytes: Bytes,
    metadata: &Metadata,
    models: &Models,
    (dataset, split): (&Dataset, &Split),
) -> Result<(), TrainError> {
    let artifact = Artifact::read(bytes)?;
    let read_back = artifact.resolve(&ModelConfig::default())?;
    if read_back != *metadata {
        return Err(TrainError::Artifact(ArtifactError::Invalid {
            what: "metadata",
            reason: "it reads back differently".to_owned(),
        }));
    }
    let mut scorer = Scorer::new(runtime, &artifact, &read_back)?;
    let places: Vec<Place> = split.validation.iter().take(COMPARED).copied().collect();
    let (mut row, mut outcome) = (0, Ok(()));
    for of_entity in places.chunk_by(|a, b| a.entity == b.entity) {
        let (_, fitted) = models.of(of_entity[0].entity as usize);
        leveling::walk(dataset, &fitted.level, of_entity, &mut |batch: &Levelled<'_>| {
            if outcome.is_ok() {
                outcome = compare(&mut scorer, models, dataset, batch, row);
                row += batch.places.len();
            }
        });
    }
    outcome
}

/// Compares one batch, whose first window has the number `first`.
fn compare(
    scorer: &mut Scorer,
    models: &Models,
    dataset: &Dataset,
    batch: &Levelled<'_>,
    first: usize,
) -> Result<(), TrainError> {
    // Levels are walked entity by entity.
    let (place, fitted) = models.of(batch.places[0].entity as usize);
    let windows = dataset.gather(batch.places, fitted.base.window);
    let entity = Array1::from_elem(batch.places.len(), place as f32);
    let level = (batch.mean.view(), batch.scale.view());
    let context = Context { level: Some(level), entity: Some(entity.view()) };
    let scores = scorer.score_in(windows.view(), &context)?;
    let expected = fitted.evaluate(windows.view(), level);
    for (row, trainer) in expected.error.iter().copied().enumerate() {
        let graph = f64::from(scores.error[row]);
        // Written so that NaN of one alone is a difference.
        let near = (graph.is_nan() && trainer.is_nan())
            || (graph - trainer).abs() <= TOLERANCE * trainer.abs().max(SMALL);
        if !near {
            return Err(TrainError::Parity { row: first + row, graph, trainer });
        }
    }
    Ok(())
}

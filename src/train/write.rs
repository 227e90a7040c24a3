//! Writing: a model's file appears under its name only after it has been read back and loaded.
//!
//! In: bytes and a path. Out: the file, or an error and whatever was there before. The file is
//! written beside its destination, read back and loaded as serving does it, and published.

use std::io::Write;
use std::path::Path;

use bytes::Bytes;

use super::error::TrainError;
use crate::files::Draft;
use crate::model::{Artifact, ArtifactError, Metadata, ModelConfig, Runtime, Scorer};

/// Writes beside the destination, proves what was written, and publishes it.
pub(super) fn write(
    path: &Path,
    bytes: &Bytes,
    prove: impl FnOnce(Bytes) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    let failed = |source| TrainError::Write { path: path.to_path_buf(), source };
    let mut draft = Draft::of(path).map_err(failed)?;
    draft.write_all(bytes).map_err(failed)?;
    prove(std::fs::read(draft.path()).map_err(failed)?.into())?;
    draft.publish().map_err(failed)
}

/// Loads a file as serving does.
pub(super) fn prove(
    runtime: &Runtime,
    bytes: Bytes,
    metadata: &Metadata,
) -> Result<(), TrainError> {
    let artifact = Artifact::read(bytes)?;
    let read_back = artifact.resolve(&ModelConfig::default())?;
    if read_back != *metadata {
        return Err(TrainError::Artifact(ArtifactError::Invalid {
            what: "metadata",
            reason: "it reads back differently".to_owned(),
        }));
    }
    Scorer::new(runtime, &artifact, &read_back)?;
    Ok(())
}

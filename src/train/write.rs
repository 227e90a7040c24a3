//! Writing: a model's file appears under its name only after it has been proven.
//!
//! In: bytes and a path. Out: the file, or an error and whatever was there before. The file is
//! written beside its destination, read back and loaded as serving does it, and renamed.

use std::io::Write;
use std::path::Path;

use bytes::Bytes;

use super::run::TrainError;
use crate::model::{Artifact, ArtifactError, Metadata, ModelConfig, Runtime, Scorer};

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

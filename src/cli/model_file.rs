//! A model file that a command line names.

use std::path::Path;

use anyhow::Context;

use crate::files::read_whole;
use crate::model::{Artifact, MAX_FILE_BYTES, shipped};

/// The model in a file, or the shipped one.
pub(super) fn read(file: Option<&Path>) -> anyhow::Result<Artifact> {
    let bytes = match file {
        Some(path) => read_whole(path, MAX_FILE_BYTES as u64)
            .with_context(|| format!("cannot read model {}", path.display()))?
            .into(),
        None => shipped(),
    };
    let name = file.map_or("the shipped model".to_owned(), |path| path.display().to_string());
    Artifact::read(bytes).with_context(|| format!("model {name}"))
}

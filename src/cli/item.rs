//! The item of the configuration's `models` that speaks of a file: what a model from elsewhere does not say
//! itself.

use std::path::Path;

use anyhow::bail;

use crate::config::Config;
use crate::model::ModelConfig;

/// The item with this file, if there is one.
pub(super) fn item_of<'a>(
    config: &'a Config,
    path: &Path,
) -> anyhow::Result<Option<&'a ModelConfig>> {
    let is_it = |it: &&ModelConfig| it.file.as_deref().is_some_and(|file| same_file(file, path));
    let found: Vec<&ModelConfig> = config.models.iter().filter(is_it).collect();
    match found[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        ref all => {
            let names: Vec<String> = all.iter().map(|it| format!("{:?}", it.name)).collect();
            bail!(
                "{} is the file of several items of `models` ({}), and one is needed here: use a \
                 configuration that has one",
                path.display(),
                names.join(", ")
            )
        }
    }
}

/// Whether two paths name the same file.
fn same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

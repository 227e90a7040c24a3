//! Fits that one graph holds: that of all entities, and beside it one for each entity that has enough
//! data of its own.
//!
//! In: a dataset of several entities and the fit of all of them. Out: fits of single entities with
//! the same branches, and for each of the other entities why it goes with the shared one.
//!
//! Each fit finds the threshold of its own scores and divides its errors by it, so that
//! one threshold serves all: an entity that is calm by nature is held to its own calm.
//!
//! Invariants: all fits have the same shapes, since one graph holds them; the shared one is there
//! for entities that training has never seen.

use std::ops::ControlFlow;

use super::{Fit, FitError};
use crate::bytesize::ByteSize;
use crate::history::Progress;
use crate::labels::Labels;
use crate::model::{LevelSpec, LevelStart, MAX_FILE_BYTES, Metadata};
use crate::train::branches::season::Harmonics;
use crate::train::config::TrainConfig;
use crate::train::data::{Coverage, Dataset, Training};
use crate::train::graph::export;
use crate::train::run::TrainError;
use crate::train::{hindsight, threshold};

/// The fits that one graph holds.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::train) struct Fits {
    /// Of all entities.
    pub shared: Fit,
    /// Of single ones, which are named by their place in the dataset, in that order.
    pub own: Vec<(usize, Fit)>,
    /// Entities without one, where each should have had one.
    pub sharing: Vec<Sharing>,
}

/// Why an entity goes with the shared fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharing {
    /// The entity.
    pub labels: Labels,
    /// Why.
    pub reason: String,
}

impl Fits {
    /// One for all.
    pub fn one(shared: Fit) -> Self {
        Self { shared, own: Vec::new(), sharing: Vec::new() }
    }

    /// The place of an entity's fit in the graph and the fit: 0 and the shared one without its own.
    pub fn of(&self, entity: usize) -> (usize, &Fit) {
        let own = self.own.binary_search_by_key(&entity, |(entity, _)| *entity);
        own.map_or((0, &self.shared), |at| (at + 1, &self.own[at].1))
    }

    /// All fits, the shared one first.
    pub fn all(&self) -> Vec<&Fit> {
        [&self.shared].into_iter().chain(self.own.iter().map(|(_, fit)| fit)).collect()
    }

    /// Adds to what a file says what it must say of entities with a fit of their own.
    pub fn describe(&self, dataset: &Dataset, metadata: Metadata) -> Metadata {
        let values = |(entity, _): &(usize, Fit)| -> Vec<String> {
            let labels = &dataset.entities[*entity].labels;
            metadata.entity.iter().map(|name| labels.get(name).to_owned()).collect()
        };
        let entities = self.own.iter().map(values).collect();
        let starts: Vec<LevelStart> = self.own.iter().map(|(_, fit)| fit.level.start()).collect();
        let level = metadata.level.map(|level| LevelSpec { entities: starts, ..level });
        Metadata { entities, level, ..metadata }
    }

    /// Beside the shared fit learns one of each entity of the dataset. `draft` is what the file will say
    /// but for the threshold.
    ///
    /// # Errors
    /// When there are so many that the file would be larger than this program reads, and when there is
    /// no threshold for the shared one.
    pub fn learn(
        training: &Training<'_>,
        config: &TrainConfig,
        shared: Fit,
        draft: &Metadata,
    ) -> Result<Self, TrainError> {
        let dataset = training.dataset;
        let count = dataset.entities.len();
        let mut fits = Self::one(shared);
        if count == 1 {
            // It has the shared one to itself.
            return Ok(fits);
        }
        too_many(export(&fits, draft).len(), count)?;
        let mut own = Vec::new();
        let progress = Progress::start("entities", count);
        for entity in 0..count {
            match learn_own(training, config, (entity, &fits.shared), draft) {
                Ok(fit) => own.push((entity, fit)),
                Err(reason) => {
                    let labels = dataset.entities[entity].labels.clone();
                    fits.sharing.push(Sharing { labels, reason });
                }
            }
            progress.done(entity + 1, format!("{} with their own model", own.len()));
        }
        if !own.is_empty() {
            let threshold = own_threshold(training, config, &fits, draft)?;
            fits.shared.gain = (1.0 / threshold) as f32;
            fits.own = own;
        }
        Ok(fits)
    }
}

/// Refuses what would make a file that this program itself would not read.
fn too_many(bytes: usize, entities: usize) -> Result<(), FitError> {
    let all = bytes.saturating_mul(entities + 1);
    if all <= MAX_FILE_BYTES {
        return Ok(());
    }
    let size = |bytes: usize| ByteSize::from_bytes(bytes as u64);
    // A whole number of MiB is what people read.
    let bytes = ByteSize::from_mib(all.div_ceil(1 << 20) as u64);
    Err(FitError::TooMany { entities, bytes, most: size(MAX_FILE_BYTES) })
}

/// One entity's fit, or why it has none.
fn learn_own(
    training: &Training<'_>,
    config: &TrainConfig,
    (entity, shared): (usize, &Fit),
    draft: &Metadata,
) -> Result<Fit, String> {
    let split = training.split.only(entity).ok_or("it has too few windows of its own")?;
    let dataset = training.dataset.only(entity);
    let coverage = Coverage::of(&dataset, &split.training());
    if Harmonics::known_from(&coverage) != shared.base.season.harmonics {
        return Err("its own history covers too little of the day or the week".to_owned());
    }
    let training = Training { dataset: &dataset, split: &split, ..training.clone() };
    let fit = Fit::learn(&training, config, &mut |_, _| ControlFlow::Continue(()));
    let mut fits = Fits::one(fit.map_err(|error| error.to_string())?);
    let threshold = own_threshold(&training, config, &fits, draft);
    fits.shared.gain = (1.0 / threshold.map_err(|error| error.to_string())?) as f32;
    Ok(fits.shared)
}

/// The threshold of a fit alone.
fn own_threshold(
    training: &Training<'_>,
    config: &TrainConfig,
    fits: &Fits,
    draft: &Metadata,
) -> Result<f64, TrainError> {
    let level = draft.level.is_some().then(|| fits.shared.level.clone());
    let hindsight = hindsight::play(training, &Metadata { level, ..draft.clone() }, fits)?;
    Ok(threshold::find(&hindsight.scores, &config.threshold)?.threshold)
}

#[cfg(test)]
mod tests;

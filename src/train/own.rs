//! Own models: beside the model of all entities one for each that has enough data of its own.
//!
//! In: a dataset of several entities and the fit of all of them. Out: fits of single entities with
//! the same branches, and for each of the other entities why it goes with the shared one.
//!
//! Each fit finds the threshold of its own validation scores and divides its errors by it, so that
//! one threshold serves all: an entity that is calm by nature is held to its own calm.
//!
//! Invariants: all fits have the same shapes, since one graph holds them; the shared one is there
//! for entities that training has never seen.

use std::ops::ControlFlow;

use super::config::TrainConfig;
use super::coverage::Coverage;
use super::dataset::{Dataset, Split};
use super::export::export;
use super::fit::{self, FitError, Fitted};
use super::learn::Learning;
use super::run::TrainError;
use super::season::Harmonics;
use super::{threshold, validate};
use crate::bytesize::ByteSize;
use crate::history::Progress;
use crate::labels::Labels;
use crate::model::{LevelSpec, LevelStart, MAX_FILE_BYTES, Metadata};

/// The fits that one graph holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Models {
    /// Of all entities.
    pub shared: Fitted,
    /// Of single ones, in the order of the dataset.
    pub own: Vec<Own>,
    /// Entities without one, where each should have had one.
    pub sharing: Vec<Sharing>,
}

/// A fit of one entity.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Own {
    /// The entity, by its place in the dataset.
    pub entity: usize,
    /// The fit.
    pub fitted: Fitted,
}

/// Why an entity goes with the shared model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharing {
    /// The entity.
    pub labels: Labels,
    /// Why.
    pub reason: String,
}

impl Models {
    /// One for all.
    pub fn one(shared: Fitted) -> Self {
        Self { shared, own: Vec::new(), sharing: Vec::new() }
    }

    /// The place of an entity's fit in the graph and the fit: 0 and the shared one without its own.
    pub fn of(&self, entity: usize) -> (usize, &Fitted) {
        let own = self.own.binary_search_by_key(&entity, |own| own.entity);
        own.map_or((0, &self.shared), |at| (at + 1, &self.own[at].fitted))
    }

    /// All fits, the shared one first.
    pub fn all(&self) -> Vec<&Fitted> {
        [&self.shared].into_iter().chain(self.own.iter().map(|own| &own.fitted)).collect()
    }

    /// Adds to what a file says what it must say of entities with a fit of their own.
    pub fn describe(&self, dataset: &Dataset, metadata: Metadata) -> Metadata {
        let values = |own: &Own| -> Vec<String> {
            let labels = &dataset.entities[own.entity].labels;
            metadata.entity.iter().map(|name| labels.get(name).to_owned()).collect()
        };
        let entities = self.own.iter().map(values).collect();
        let starts: Vec<LevelStart> = self.own.iter().map(|own| own.fitted.level.start()).collect();
        let level = metadata.level.map(|level| LevelSpec { entities: starts, ..level });
        Metadata { entities, level, ..metadata }
    }
}

/// Fits a model to each entity of the dataset.
///
/// # Errors
/// When there are so many that the file would be larger than this program reads, and when there is
/// no threshold for the shared one.
pub(super) fn fit(
    learning: &Learning<'_>,
    config: &TrainConfig,
    split: &Split,
    (shared, draft): (Fitted, &Metadata),
) -> Result<Models, TrainError> {
    let dataset = learning.dataset;
    let count = dataset.entities.len();
    if count == 1 {
        // It has the shared one to itself.
        return Ok(Models::one(shared));
    }
    let fitting = Fitting { learning, config, draft };
    let mut models = Models::one(shared);
    too_many(export(&models, draft).len(), count)?;
    let progress = Progress::start("entities", count);
    for entity in 0..count {
        match fitting.own(split, entity, &models.shared) {
            Ok(fitted) => models.own.push(Own { entity, fitted }),
            Err(reason) => {
                let labels = dataset.entities[entity].labels.clone();
                models.sharing.push(Sharing { labels, reason });
            }
        }
        progress.done(entity + 1, format!("{} with their own model", models.own.len()));
    }
    if !models.own.is_empty() {
        let own = std::mem::take(&mut models.own);
        let threshold = fitting.threshold(dataset, split, &models)?;
        models.shared.gain = (1.0 / threshold) as f32;
        models.own = own;
    }
    Ok(models)
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

struct Fitting<'a> {
    learning: &'a Learning<'a>,
    config: &'a TrainConfig,
    draft: &'a Metadata,
}

impl Fitting<'_> {
    /// One entity's fit, or why it has none.
    fn own(&self, split: &Split, entity: usize, shared: &Fitted) -> Result<Fitted, String> {
        let split = split.only(entity).ok_or("it has too few windows of its own")?;
        let dataset = self.learning.dataset.only(entity);
        let coverage = Coverage::of(&dataset, &split.training());
        if Harmonics::known_from(&coverage) != shared.base.season.harmonics {
            return Err("its own history covers too little of the day or the week".to_owned());
        }
        let Learning { runtime, roles, clocks, .. } = self.learning;
        let mut on_epoch = |_: usize, _: f64| ControlFlow::Continue(());
        let of = (&dataset, &split);
        let fitted = fit::fit(runtime, of, (roles, *clocks), self.config, &mut on_epoch);
        let mut models = Models::one(fitted.map_err(|error| error.to_string())?);
        let threshold = self.threshold(&dataset, &split, &models);
        let threshold = threshold.map_err(|error| error.to_string())?;
        models.shared.gain = (1.0 / threshold) as f32;
        Ok(models.shared)
    }

    /// The threshold of a fit alone.
    fn threshold(
        &self,
        dataset: &Dataset,
        split: &Split,
        models: &Models,
    ) -> Result<f64, TrainError> {
        let level = self.draft.level.is_some().then(|| models.shared.level.clone());
        let draft = Metadata { level, ..self.draft.clone() };
        let validated = validate::play(self.learning.runtime, dataset, split, &draft, models)?;
        Ok(threshold::find(&validated.scores, &self.config.threshold)?.threshold)
    }
}

#[cfg(test)]
mod tests;

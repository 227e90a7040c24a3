//! Fits that one graph holds: the one of all entities, and one for each entity that has enough
//! data of its own; and what the file remembers of each entity.
//!
//! In: a dataset of several entities and the fit of all of them. Out: fits of single entities with
//! the same branches, and for each of the other entities the reason why it uses the shared one. Every entity
//! of the dataset is remembered with its level at the end of training by the fit that serves it, with the
//! largest scores of its last hours, and with how long it usually stands still.
//!
//! Each fit finds the threshold of its own scores and divides its errors by it, so that
//! one threshold serves all: a calm entity is measured by its own calm.
//!
//! Invariants: all fits have the same shapes, since one graph holds them; the shared one is there
//! for entities that training has never seen.

use std::ops::ControlFlow;

use crate::bytesize::ByteSize;
use crate::detect::LEAST_HOURS;
use crate::history::Progress;
use crate::model::{
    HourlyMaxima, LevelStart, MAX_FILE_BYTES, Metadata, REMEMBERED_HOURS, Remembered,
};
use crate::train::branches::season::Harmonics;
use crate::train::branches::{BranchKind, level};
use crate::train::config::{ModelKind, TrainConfig};
use crate::train::data::{Coverage, Dataset, Training};
use crate::train::error::TrainError;
use crate::train::fit::{Fit, FitError, Fits, Sharing};
use crate::train::graph::export;
use crate::train::hindsight;
use crate::train::still::{self, Still};
use crate::train::threshold::{self, TrainingScores};

/// Bytes of a number in a list as JSON: what float32 prints, at most nine digits with a point, and a comma.
/// Some have an exponent; most have fewer digits.
const NUMBER_BYTES: usize = 12;

/// Bytes of an entity's labels, taken as many, and of the names beside its lists.
const NAME_BYTES: usize = 256;

impl Fits {
    /// Adds to what a file says which entities have a fit of their own, and, where the model keeps levels,
    /// what it remembers of all of them, in the order of the dataset.
    pub fn describe(&self, dataset: &Dataset, metadata: Metadata) -> Metadata {
        let values = |entity: usize| values(dataset, entity, &metadata);
        let entities = self.own.iter().map(|(entity, _)| values(*entity)).collect();
        let remembered = match metadata.level {
            None => Vec::new(),
            Some(_) => (0..dataset.entities.len())
                .map(|entity| Remembered::new(values(entity)).with_level(self.end(entity).clone()))
                .collect(),
        };
        Metadata { entities, remembered, ..metadata }
    }

    /// Adds for how long entities usually stand still, all and each of them, and what each one's scores
    /// reached in its last hours, moments that were left out included: what recurs is known from the first
    /// night on. Scores are in the order of the dataset, before they are divided by the threshold. Hours that
    /// are too few to say what is usual are not worth their bytes.
    pub fn remember(
        dataset: &Dataset,
        scores: &TrainingScores,
        threshold: f64,
        mut metadata: Metadata,
    ) -> Metadata {
        let times_ms = &scores.times_ms;
        let Still { spec, own } = still::learn(dataset, &metadata.features, &metadata.weightless);
        metadata.still = spec;
        let own = own.into_iter().chain(std::iter::repeat(None));
        if metadata.remembered.is_empty() {
            let values = |entity: usize| Remembered::new(values(dataset, entity, &metadata));
            metadata.remembered = (0..dataset.entities.len()).map(values).collect();
        }
        let remembered = std::mem::take(&mut metadata.remembered).into_iter().zip(own);
        let remembered = remembered.map(|(it, own)| it.with_still(own)).zip(&scores.entities);
        let with_hours = remembered.map(|(it, scores)| {
            let scores = scores.iter().map(|score| score / threshold);
            let hours = HourlyMaxima::of(times_ms.iter().copied().zip(scores));
            let is_enough = |it: &HourlyMaxima| it.scores.iter().flatten().count() >= LEAST_HOURS;
            it.with_hours(hours.filter(is_enough))
        });
        let says = |it: &Remembered| it.level.is_some() || it.hours.is_some() || it.still.is_some();
        metadata.remembered = with_hours.filter(says).collect();
        metadata
    }

    /// What a file says, but with levels as they were when training began: each entity's begins as that of
    /// the fit which serves it, and nothing else is remembered.
    pub fn begun(&self, dataset: &Dataset, metadata: &Metadata) -> Metadata {
        let level = metadata.level.as_ref().map(level::fresh);
        let of_own = |(entity, fit): &(usize, Fit)| {
            let values = values(dataset, *entity, metadata);
            Remembered::new(values).with_level(level::fresh(&fit.level).start())
        };
        let own = self.own.iter().filter(|_| level.is_some());
        Metadata { remembered: own.map(of_own).collect(), level, ..metadata.clone() }
    }

    /// Where the level of an entity is at the end of training.
    fn end(&self, entity: usize) -> &LevelStart {
        match self.of(entity) {
            (0, shared) => &shared.ends[entity],
            // It has a dataset to itself.
            (_, own) => &own.ends[0],
        }
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
        too_many(export(&fits, draft).len(), remembered_bytes(dataset, config.model), count)?;
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

/// An entity's values of the labels that name one.
fn values(dataset: &Dataset, entity: usize, metadata: &Metadata) -> Vec<String> {
    let labels = &dataset.entities[entity].labels;
    metadata.entity.iter().map(|name| labels.get(name).to_owned()).collect()
}

/// Refuses what would make a file that this program itself would not read: so many fits, each of so many
/// bytes, and what is remembered beside them.
fn too_many(fit: usize, remembered: usize, entities: usize) -> Result<(), FitError> {
    let all = fit.saturating_mul(entities + 1).saturating_add(remembered);
    match beyond_limit(all) {
        Some((bytes, most)) => Err(FitError::TooMany { entities, bytes, most }),
        None => Ok(()),
    }
}

/// Refuses more entities than a file can remember.
pub(super) fn can_be_remembered(dataset: &Dataset, model: ModelKind) -> Result<(), FitError> {
    let entities = dataset.entities.len();
    match beyond_limit(remembered_bytes(dataset, model)) {
        Some((bytes, most)) => Err(FitError::TooManyRemembered { entities, bytes, most }),
        None => Ok(()),
    }
}

/// What a file takes for what it remembers of a dataset's entities: three lists of a level, where the model
/// has one, and a week of hours.
fn remembered_bytes(dataset: &Dataset, model: ModelKind) -> usize {
    let features = dataset.entities.first().map_or(0, |it| it.values.ncols());
    let has_level = model.weights().iter().any(|(kind, _)| *kind == BranchKind::Level);
    let numbers = if has_level { 3 * features } else { 0 } + REMEMBERED_HOURS;
    dataset.entities.len() * (numbers * NUMBER_BYTES + NAME_BYTES)
}

/// These bytes and the most that a file may have, if they are more.
fn beyond_limit(bytes: usize) -> Option<(ByteSize, ByteSize)> {
    // A whole number of MiB is what people read.
    let [all, most] =
        [bytes, MAX_FILE_BYTES].map(|it| ByteSize::from_mib(it.div_ceil(1 << 20) as u64));
    (bytes > MAX_FILE_BYTES).then_some((all, most))
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
    Ok(threshold::find(&hindsight.usual(training.dataset), &config.threshold)?.threshold)
}

#[cfg(test)]
mod tests;

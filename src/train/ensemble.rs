//! An ensemble: a fit of weighted branches, each in units of its own usual value.
//!
//! In: a dataset in parts, the features' roles, the configuration. Out: everything that gives a window
//! its error, for all entities or for one, and how learning went. Weights, scaler and season come from
//! the training part alone; for usual values see [`usual`].

mod entities;
mod usual;

use std::ops::ControlFlow;

use super::branches::autoencoder::{Autoencoder, Course};
use super::branches::forecast::{Forecast, LAGS};
use super::branches::{Base, Branch, BranchKind, Model, level};
use super::config::TrainConfig;
use super::data::{Scaler, Scaling, Training};
use super::run::TrainError;
use crate::bytesize::ByteSize;
use crate::features::FeatureSpec;
use crate::model::{LevelSpec, LevelStart};

pub(super) use entities::Fits;
pub use entities::Sharing;
pub(super) use usual::Meter;

/// Everything that gives a window its error.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fit {
    /// What the branches share.
    pub base: Base,
    /// In the order of [`BranchKind::ALL`].
    pub branches: Vec<Branch>,
    /// What the pipeline keeps for the branch of that name, and where it begins for entities that
    /// training has not seen.
    pub level: LevelSpec,
    /// Where the level of each entity of its dataset is at the end, in their order.
    pub ends: Vec<LevelStart>,
    /// How the network's learning went; empty without one.
    pub course: Course,
    /// What errors are multiplied with in the end, so that those of several fits compare.
    pub gain: f32,
}

/// Why a fit has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// Nothing to learn.
    #[error(
        "no feature moves in the {rows} training windows: nothing can be learnt; use a longer \
         range, or hosts that are not idle"
    )]
    NothingMoves {
        /// Windows of the training part.
        rows: usize,
    },
    /// Weights ran away.
    #[error("the loss is no longer a number in pass {epoch}: lower train.learning_rate")]
    Diverged {
        /// The pass.
        epoch: usize,
    },
    /// A model each for too many entities.
    #[error(
        "a model each for {entities} entities makes a file of {bytes}, more than {most}: use \
         `train.fit: pooled`, or train on fewer entities"
    )]
    TooMany {
        /// The entities.
        entities: usize,
        /// What the file would take.
        bytes: ByteSize,
        /// The limit.
        most: ByteSize,
    },
    /// More entities than the file can remember.
    #[error(
        "what the file remembers of {entities} entities takes {bytes}, more than {most}: train on fewer \
         entities"
    )]
    TooManyRemembered {
        /// The entities.
        entities: usize,
        /// What the file would take.
        bytes: ByteSize,
        /// The limit.
        most: ByteSize,
    },
    /// A forecast of too many features.
    #[error(
        "{features} features are too many for a forecast: at most {most}; use `train.model: \
         autoencoder`, or fewer features"
    )]
    TooWide {
        /// The features.
        features: usize,
        /// The limit.
        most: usize,
    },
}

/// Is told the number of each look at the network's loss, and the loss; may end its learning.
pub(super) type OnEpoch<'a> = &'a mut dyn FnMut(usize, f64) -> ControlFlow<()>;

/// The length of window that a configuration needs.
pub(super) fn window(config: &TrainConfig) -> usize {
    window_of(config.model.weights(), config)
}

/// The length of window that some branches need.
pub(super) fn window_of(weighted: &[(BranchKind, f64)], config: &TrainConfig) -> usize {
    let uses = |kind| weighted.iter().any(|(it, _)| *it == kind);
    let lags = if uses(BranchKind::Forecast) { LAGS + 1 } else { 1 };
    if uses(BranchKind::Autoencoder) { lags.max(config.window) } else { lags }
}

fn base(training: &Training<'_>, window: usize) -> Base {
    let places = training.split.training();
    let scaler = Scaler::of(training.dataset, &places, training.roles, Scaling::Standard);
    Base::learn(training, scaler, &places, window)
}

impl Fit {
    /// Learns. ONNX Runtime tells what is usual, by the graph that will serve.
    ///
    /// # Errors
    /// When nothing moves, when there are more entities than a file can remember, when a branch cannot be
    /// learnt, and when ONNX Runtime refuses the graph.
    pub fn learn(
        training: &Training<'_>,
        config: &TrainConfig,
        on_epoch: OnEpoch<'_>,
    ) -> Result<Self, TrainError> {
        Self::learn_branches(training, config.model.weights(), config, on_epoch)
    }

    /// The same of these branches, whatever the configuration's model is.
    ///
    /// # Errors
    /// As [`Self::learn`].
    pub fn learn_branches(
        training: &Training<'_>,
        weights: &[(BranchKind, f64)],
        config: &TrainConfig,
        on_epoch: OnEpoch<'_>,
    ) -> Result<Self, TrainError> {
        let places = training.split.training();
        let base = base(training, window_of(weights, config));
        if !base.scaler.is_learnt() {
            return Err(FitError::NothingMoves { rows: places.len() }.into());
        }
        entities::can_be_remembered(training.dataset, config.model)?;
        let mut course = Course::default();
        let mut branches = Vec::new();
        let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
        for (kind, weight) in weights {
            let model = match kind {
                BranchKind::Season => Model::Season,
                BranchKind::Level => Model::Level,
                BranchKind::Forecast => {
                    Model::Forecast(Forecast::learn(training.dataset, &places, &base)?)
                }
                BranchKind::Autoencoder => {
                    let (network, of) = Autoencoder::learn(training, &base, config, on_epoch)?;
                    course = of;
                    Model::Autoencoder(network)
                }
            };
            branches.push(Branch {
                inverse: match kind {
                    BranchKind::Season => base.season.scale.iter().map(|it| 1.0 / it).collect(),
                    _ => vec![1.0; base.scaler.kinds.len()],
                },
                cap: (total > *weight).then(|| model.cap()),
                model,
                quantile: 1.0,
                weight: (weight / total) as f32,
            });
        }
        let (level, ends) = level::learn(training.dataset, &base);
        let mut fit = Self { base, branches, level, ends, course, gain: 1.0 };
        usual::measure(training, &mut fit)?;
        Ok(fit)
    }

    /// The names of the features that the error does not depend on.
    pub fn weightless(&self, features: &[FeatureSpec]) -> Vec<String> {
        let kinds = features.iter().zip(&self.base.scaler.kinds);
        kinds.filter(|(_, kind)| !kind.counts()).map(|(it, _)| it.name.clone()).collect()
    }

    /// The branch of this kind.
    ///
    /// # Panics
    /// Without one.
    pub fn branch(&self, kind: BranchKind) -> &Branch {
        let found = self.branches.iter().find(|branch| branch.model.kind() == kind);
        found.expect("fits of one configuration have the same branches")
    }

    /// Whether the entities' levels are asked for.
    pub fn uses_level(&self) -> bool {
        self.branches.iter().any(|branch| branch.model.kind() == BranchKind::Level)
    }

    /// The branches and what each counts for; they sum to 1.
    pub fn shares(&self) -> Vec<(BranchKind, f64)> {
        self.branches.iter().map(|it| (it.model.kind(), f64::from(it.weight))).collect()
    }

    /// The branch with the largest weight, whose expectation is the model's.
    pub fn heaviest_branch(&self) -> &Branch {
        let heaviest = self.branches.iter().max_by(|a, b| a.weight.total_cmp(&b.weight));
        heaviest.expect("a model has a branch")
    }
}

#[cfg(test)]
mod sweep;
#[cfg(test)]
mod tests;

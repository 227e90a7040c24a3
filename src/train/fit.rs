//! A fit: everything that gives a window its error, for all entities or for one.
//!
//! Only what a fit is. [`ensemble`](super::ensemble) learns it, [`graph`](super::graph) writes it down.

use std::ops::ControlFlow;

use super::branches::{Base, Branch, BranchKind};
use crate::bytesize::ByteSize;
use crate::features::FeatureSpec;
use crate::labels::Labels;
use crate::model::{LevelSpec, LevelStart};

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

/// The fits that one graph holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fits {
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

/// How the network's fit went. Losses are shares of the features' variance that the network does not restore, so
/// that they compare between scalings and windows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Course {
    /// Looks at the loss: one after each pass, or after as many passes as make a hundred updates.
    pub epochs: usize,
    /// The one that gave the weights, counted from 1.
    pub best_epoch: usize,
    /// The loss in training at each.
    pub training: Vec<f64>,
    /// The loss on the part that decides when to stop at each.
    pub stopping: Vec<f64>,
}

/// Is told the number of each look at the network's loss, and the loss; may end its learning.
pub(super) type OnEpoch<'a> = &'a mut dyn FnMut(usize, f64) -> ControlFlow<()>;

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

impl Fit {
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
}

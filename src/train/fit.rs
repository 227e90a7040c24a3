//! A fit: everything that gives a window its error, learnt from the training part of a dataset.
//!
//! In: a dataset in parts, the features' roles, the configuration. Out: the branches of a model with
//! their usual residuals and values, and how the fit went. Weights, scaler and season come from the
//! training part alone; for what is usual see [`super::ensemble`].

use std::ops::ControlFlow;

use ndarray::s;

use super::autoencoder::{self, Autoencoder, Course};
use super::base;
use super::branch::{Base, Branch, Kind, Model};
use super::calendar::Role;
use super::config::TrainConfig;
use super::dataset::{Dataset, Place, Split};
use super::run::TrainError;
use super::scaler::{Scaler, Scaling};
use super::{ensemble, forecast, leveling};
use crate::bytesize::ByteSize;
use crate::features::FeatureSpec;
use crate::model::{LevelSpec, Runtime};

/// Steps that the forecast looks at.
const LAGS: usize = 5;

/// The forecast's penalty in rows: a few rows of nothing before the first real one.
const FORECAST_PENALTY: f64 = 10.0;

/// How often the forecast takes a feature to be missing: as seldom as that is. The network, which is
/// told apart from the forecast by what it sees, learns absence from more of it; a linear map that
/// expects much of it no longer trusts what features say of one another.
const FORECAST_MISSING: f64 = 0.005;

/// Windows that are evaluated at once, so that memory does not grow with the recording.
const CHUNK: usize = 4_096;

/// Everything that gives a window its error.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fitted {
    /// What the branches share.
    pub base: Base,
    /// In the order of [`Kind::ALL`].
    pub branches: Vec<Branch>,
    /// What the pipeline keeps for the branch of that name.
    pub level: LevelSpec,
    /// How the network's fit went; empty without one.
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
         range, or a machine that does something"
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

/// Is told the number of each look at the network's loss, and the loss; may end its training.
pub(super) type OnEpoch<'a> = &'a mut dyn FnMut(usize, f64) -> ControlFlow<()>;

/// The length of window that a configuration needs.
pub(super) fn window(config: &TrainConfig) -> usize {
    let weighted = config.model.weights();
    let uses = |kind| weighted.iter().any(|(it, _)| *it == kind);
    let lags = if uses(Kind::Forecast) { LAGS + 1 } else { 1 };
    if uses(Kind::Autoencoder) { lags.max(config.window) } else { lags }
}

/// Learns. ONNX Runtime tells what is usual, by the graph that will serve.
pub(super) fn fit(
    runtime: &Runtime,
    (dataset, split): (&Dataset, &Split),
    (roles, clocks): (&[Role], [usize; 2]),
    config: &TrainConfig,
    on_epoch: OnEpoch<'_>,
) -> Result<Fitted, TrainError> {
    let training = split.training();
    let scaler = Scaler::fit(dataset, &training, roles, Scaling::Standard);
    if !scaler.kinds.contains(&super::scaler::Kind::Learnt) {
        return Err(FitError::NothingMoves { rows: training.len() }.into());
    }
    let window = window(config);
    let base = base::fit(dataset, &training, scaler, clocks, window);
    let level = leveling::spec(dataset, &base);
    let mut learner = Learner { dataset, split, base, level, config, course: Course::default() };
    let models = learner.models(&training, roles, on_epoch)?;
    let Learner { base, level, course, .. } = learner;
    let branches = ensemble::branches(&base, models);
    let mut fitted = Fitted { base, branches, level, course, gain: 1.0 };
    ensemble::measure(runtime, &mut fitted, dataset, split, config.scaling)?;
    Ok(fitted)
}

/// Trains the network alone: a fit of this one branch, of which nothing usual is known yet.
pub(super) fn network(
    dataset: &Dataset,
    split: &Split,
    (roles, clocks): (&[Role], [usize; 2]),
    config: &TrainConfig,
) -> Result<Fitted, FitError> {
    let training = split.training();
    let scaler = Scaler::fit(dataset, &training, roles, Scaling::Standard);
    let base = base::fit(dataset, &training, scaler, clocks, window(config));
    let level = leveling::start(dataset, &base);
    let mut learner = Learner { dataset, split, base, level, config, course: Course::default() };
    let network = learner.autoencoder(roles, &mut |_, _| ControlFlow::Continue(()))?;
    let Learner { base, level, course, .. } = learner;
    let branches = ensemble::branches(&base, vec![(network, 1.0)]);
    Ok(Fitted { base, branches, level, course, gain: 1.0 })
}

/// A fit in the making.
struct Learner<'a> {
    dataset: &'a Dataset,
    split: &'a Split,
    base: Base,
    level: LevelSpec,
    config: &'a TrainConfig,
    course: Course,
}

impl Learner<'_> {
    fn models(
        &mut self,
        training: &[Place],
        roles: &[Role],
        on_epoch: OnEpoch<'_>,
    ) -> Result<Vec<(Model, f64)>, FitError> {
        let mut models = Vec::new();
        for (kind, weight) in self.config.model.weights() {
            let model = match kind {
                Kind::Season => Model::Season,
                Kind::Level => Model::Level,
                Kind::Forecast => self.forecast(training)?,
                Kind::Autoencoder => self.autoencoder(roles, on_epoch)?,
            };
            models.push((model, *weight));
        }
        Ok(models)
    }

    fn forecast(&self, training: &[Place]) -> Result<Model, FitError> {
        let features = self.base.scaler.kinds.len();
        if LAGS * features > forecast::MAX_INPUTS {
            return Err(FitError::TooWide { features, most: forecast::MAX_INPUTS / LAGS });
        }
        let waves = self.base.season.harmonics.count();
        let mut learning = forecast::Learning::new(LAGS + 1, features, waves);
        for places in training.chunks(CHUNK) {
            let raw = self.dataset.gather(places, self.base.window);
            let (clipped, waves) = self.base.inputs(raw.view());
            let windows = clipped.slice(s![.., self.base.window - 1 - LAGS.., ..]);
            learning.add(windows, waves.view());
        }
        let map = learning.finish(FORECAST_PENALTY, FORECAST_MISSING).rounded();
        Ok(Model::Forecast { lags: LAGS, map })
    }

    fn autoencoder(&mut self, roles: &[Role], on_epoch: OnEpoch<'_>) -> Result<Model, FitError> {
        let range = Scaler::fit(self.dataset, &self.split.fit, roles, Scaling::MinMax);
        let blank = Autoencoder::blank(&self.base, &range, self.config);
        let values = blank.values(&self.base, self.dataset);
        let parts = (self.split.fit.as_slice(), self.split.stopping.as_slice());
        let (autoencoder, course) =
            autoencoder::fit(blank, &self.base, &values, parts, self.config, on_epoch)?;
        self.course = course;
        Ok(Model::Autoencoder(autoencoder))
    }
}

impl Fitted {
    /// The names of the features that the error does not depend on.
    pub fn weightless(&self, features: &[FeatureSpec]) -> Vec<String> {
        let kinds = features.iter().zip(&self.base.scaler.kinds);
        kinds.filter(|(_, kind)| !kind.counts()).map(|(it, _)| it.name.clone()).collect()
    }

    /// The branch of this kind.
    ///
    /// # Panics
    /// Without one.
    pub fn branch(&self, kind: Kind) -> &Branch {
        let found = self.branches.iter().find(|branch| branch.kind() == kind);
        found.expect("fits of one configuration have the same branches")
    }

    /// Whether the entities' levels are asked for.
    pub fn uses_level(&self) -> bool {
        self.branches.iter().any(|branch| branch.kind() == Kind::Level)
    }

    /// The branches and what each counts for; they sum to 1.
    pub fn shares(&self) -> Vec<(Kind, f64)> {
        self.branches.iter().map(|it| (it.kind(), f64::from(it.weight))).collect()
    }

    /// The branch that tells what was expected: the one that counts most.
    pub fn teller(&self) -> &Branch {
        let heaviest = self.branches.iter().max_by(|a, b| a.weight.total_cmp(&b.weight));
        heaviest.expect("a model has a branch")
    }
}

#[cfg(test)]
mod sweep;
#[cfg(test)]
mod tests;

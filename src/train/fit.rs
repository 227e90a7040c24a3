//! A fit: everything that gives a window its error, learnt from the training part of a dataset.
//!
//! In: a dataset in parts, the features' roles, the configuration. Out: the branches of a model with
//! their usual residuals and values, and how the fit went. Weights, scaler and season come from the
//! training part alone; what is usual for a residual, from training and validation; what is usual
//! for a branch, from validation.
//!
//! The arithmetic of [`Fitted::evaluate`] is the reference for the graph that `export` writes.

use std::ops::ControlFlow;

use ndarray::{Array1, Array2, ArrayView2, ArrayView3, Axis, s};

use super::autoencoder::{self, Autoencoder, Course};
use super::base;
use super::branch::{Base, Branch, Kind, Model, Prepared};
use super::calendar::Role;
use super::config::TrainConfig;
use super::dataset::{Dataset, Place, Split};
use super::forecast;
use super::leveling::{self, Levelled};
use super::scaler::{Scaler, Scaling};
use crate::bytesize::ByteSize;
use crate::features::FeatureSpec;
use crate::model::LevelSpec;

/// Steps that the forecast looks at.
const LAGS: usize = 5;

/// The forecast's penalty in rows: a few rows of nothing before the first real one.
const FORECAST_PENALTY: f64 = 10.0;

/// How often the forecast takes a feature to be missing: as seldom as that is. The network, which is
/// told apart from the forecast by what it sees, learns absence from more of it; a linear map that
/// expects much of it no longer trusts what features say of one another.
const FORECAST_MISSING: f64 = 0.005;

/// A branch's usual value is the one that this percentage of validation does not exceed.
const USUAL_PERCENT: f64 = 99.0;

/// What the season and the network count for at most in an ensemble, in usual values: a host that has
/// changed for good is out of both for ever, and the other branches shall be heard even so.
const CAP: f32 = 4.0;

/// Residuals of the forecast and the network, in deviations (or ranges), that count as usual at
/// least: a feature that was foretold to a tenth is not ten times as telling.
const LEAST_RESIDUAL: [f64; 2] = [0.1, 0.01];

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

/// What a model says about windows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Evaluation {
    /// The error of each window.
    pub error: Vec<f64>,
    /// Each feature's share, `[rows, features]`.
    pub contribution: Array2<f64>,
    /// What was expected of the newest step, in the features' own units.
    pub reconstruction: Array2<f64>,
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

/// Learns.
pub(super) fn fit(
    dataset: &Dataset,
    split: &Split,
    roles: &[Role],
    clocks: [usize; 2],
    config: &TrainConfig,
    on_epoch: OnEpoch<'_>,
) -> Result<Fitted, FitError> {
    let training = split.training();
    let scaler = Scaler::fit(dataset, &training, roles, Scaling::Standard);
    if !scaler.kinds.contains(&super::scaler::Kind::Learnt) {
        return Err(FitError::NothingMoves { rows: training.len() });
    }
    let window = window(config);
    let base = base::fit(dataset, &training, scaler, clocks, window);
    let level = leveling::spec(dataset, &base);
    let mut learner = Learner { dataset, split, base, level, config, course: Course::default() };
    let models = learner.models(&training, roles, on_epoch)?;
    let branches = learner.usual(&training, models);
    let Learner { base, level, course, .. } = learner;
    Ok(Fitted { base, branches, level, course, gain: 1.0 })
}

/// Trains the network alone, for its losses.
pub(super) fn network(
    dataset: &Dataset,
    split: &Split,
    roles: &[Role],
    clocks: [usize; 2],
    config: &TrainConfig,
    on_epoch: OnEpoch<'_>,
) -> Result<(), FitError> {
    let training = split.training();
    let scaler = Scaler::fit(dataset, &training, roles, Scaling::Standard);
    let base = base::fit(dataset, &training, scaler, clocks, window(config));
    let level = leveling::start(dataset, &base);
    let mut learner = Learner { dataset, split, base, level, config, course: Course::default() };
    learner.autoencoder(roles, on_epoch).map(|_| ())
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

    fn prepare(&self, places: &[Place]) -> Prepared {
        let raw = self.dataset.gather(places, self.base.window);
        // Models that are learnt do not look at the level.
        let newest = raw.slice(s![.., self.base.window - 1, ..]).to_owned();
        self.base.prepare(raw.view(), (newest.view(), newest.view()))
    }

    fn forecast(&self, training: &[Place]) -> Result<Model, FitError> {
        let features = self.base.scaler.kinds.len();
        if LAGS * features > forecast::MAX_INPUTS {
            return Err(FitError::TooWide { features, most: forecast::MAX_INPUTS / LAGS });
        }
        let waves = self.base.season.harmonics.count();
        let mut learning = forecast::Learning::new(LAGS + 1, features, waves);
        for places in training.chunks(CHUNK) {
            let batch = self.prepare(places);
            let windows = batch.clipped.slice(s![.., self.base.window - 1 - LAGS.., ..]);
            learning.add(windows, batch.waves.view());
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

    /// Branches that know what is usual for them.
    fn usual(&self, training: &[Place], models: Vec<(Model, f64)>) -> Vec<Branch> {
        let features = self.base.scaler.kinds.len();
        let total: f64 = models.iter().map(|(_, weight)| weight).sum();
        let mut branches: Vec<Branch> = models
            .into_iter()
            .map(|(model, weight)| Branch {
                inverse: match model {
                    Model::Season => self.base.season_scale.iter().map(|it| 1.0 / it).collect(),
                    _ => vec![1.0; features],
                },
                cap: (matches!(model, Model::Season | Model::Autoencoder(_)) && total > weight)
                    .then_some(CAP),
                model,
                quantile: 1.0,
                weight: (weight / total) as f32,
            })
            .collect();
        let mut places = [training, &self.split.validation].concat();
        places.sort_by_key(|place| (place.entity, place.step));
        let mut sums: Vec<[Array1<f64>; 2]> =
            branches.iter().map(|_| [(); 2].map(|()| Array1::zeros(features))).collect();
        leveling::walk(self.dataset, &self.level, &places, &mut |batch: &Levelled<'_>| {
            let prepared = self.prepared(batch);
            for (branch, [squares, counts]) in branches.iter().zip(&mut sums) {
                for row in branch.raw_residual(&self.base, &prepared).outer_iter() {
                    for (i, value) in row.iter().enumerate().filter(|(_, it)| it.is_finite()) {
                        squares[i] += value * value;
                        counts[i] += 1.0;
                    }
                }
            }
        });
        for (branch, [squares, counts]) in branches.iter_mut().zip(&sums) {
            let least = match &branch.model {
                Model::Season | Model::Level => continue,
                Model::Autoencoder(_) if self.config.scaling == Scaling::MinMax => {
                    LEAST_RESIDUAL[1]
                }
                _ => LEAST_RESIDUAL[0],
            };
            branch.inverse = (0..features)
                .map(|i| (1.0 / (squares[i] / counts[i].max(1.0)).sqrt().max(least)) as f32)
                .collect();
        }
        let mut values: Vec<Vec<f64>> = vec![Vec::new(); branches.len()];
        let validation = &self.split.validation;
        leveling::walk(self.dataset, &self.level, validation, &mut |batch: &Levelled<'_>| {
            let prepared = self.prepared(batch);
            for (branch, values) in branches.iter().zip(&mut values) {
                values.extend(branch.aggregate(&self.base, &prepared).value);
            }
        });
        for (branch, values) in branches.iter_mut().zip(&mut values) {
            let usual = percentile(values, USUAL_PERCENT) as f32;
            branch.quantile = if usual > 0.0 { usual } else { 1.0 };
        }
        branches
    }

    fn prepared(&self, batch: &Levelled<'_>) -> Prepared {
        let raw = self.dataset.gather(batch.places, self.base.window);
        self.base.prepare(raw.view(), (batch.mean.view(), batch.scale.view()))
    }
}

/// The value that so many percent do not exceed, by rank.
fn percentile(values: &mut [f64], percent: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let rank = (percent / 100.0 * values.len() as f64).ceil() as usize;
    values.get(rank.max(1) - 1).copied().unwrap_or(0.0)
}

impl Fitted {
    /// Everything about raw windows `[rows, window, features]` and the levels at them.
    pub fn evaluate(
        &self,
        raw: ArrayView3<'_, f32>,
        level: (ArrayView2<'_, f32>, ArrayView2<'_, f32>),
    ) -> Evaluation {
        let batch = self.base.prepare(raw, level);
        let (rows, window, features) = raw.dim();
        let mut error = Array1::<f64>::zeros(rows);
        let mut contribution = Array2::<f64>::zeros((rows, features));
        for branch in &self.branches {
            let aggregated = branch.aggregate(&self.base, &batch);
            for (row, value) in aggregated.value.iter().enumerate() {
                let part = branch.part(*value);
                error[row] += part;
                contribution.row_mut(row).scaled_add(part, &aggregated.share.row(row));
            }
        }
        for (mut row, error) in contribution.axis_iter_mut(Axis(0)).zip(&error) {
            row.mapv_inplace(|part| if *error > 0.0 { part / error } else { 0.0 });
        }
        let expected = self.teller().expect(&self.base, &batch);
        let scaler = &self.base.scaler;
        let reconstruction = Array2::from_shape_fn((rows, features), |(row, feature)| {
            if scaler.kinds[feature].counts() {
                let size = f64::from(scaler.size(feature));
                expected[[row, feature]] * size + f64::from(scaler.offset[feature])
            } else {
                // What does not count is expected to be whatever it is.
                f64::from(raw[[row, window - 1, feature]])
            }
        });
        error *= f64::from(self.gain);
        let newest = raw.index_axis(Axis(1), window - 1);
        for (error, row) in error.iter_mut().zip(newest.outer_iter()) {
            let counts =
                |(value, kind): (&f32, &super::scaler::Kind)| kind.counts() && value.is_finite();
            // Of what nothing is known there is no error.
            if !row.iter().zip(&scaler.kinds).any(counts) {
                *error = f64::NAN;
            }
        }
        Evaluation { error: error.to_vec(), contribution, reconstruction }
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
mod tests;

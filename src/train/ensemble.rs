//! An ensemble: a fit of weighted branches, each in units of its own usual value.
//!
//! In: a dataset in parts, the features' roles, the configuration. Out: everything that gives a window
//! its error, for all entities or for one, and how learning went. Weights, scaler and season come from
//! the training part alone; for usual values see [`usual`].

mod entities;
mod usual;

use super::branches::autoencoder::Autoencoder;
use super::branches::forecast::{Forecast, LAGS};
use super::branches::{Base, Branch, BranchKind, Model, level};
use super::config::TrainConfig;
use super::data::{Scaler, Scaling, Training};
use super::error::TrainError;
use super::fit::{Course, Fit, FitError, OnEpoch};

pub(super) use usual::Meter;

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
}

#[cfg(test)]
mod sweep;
#[cfg(test)]
mod tests;

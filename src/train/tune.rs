//! Tuning: a seeded random search for the network that detects faults best.
//!
//! In: the space to search, a budget of trials and executions, a seed, and what fits and judges a
//! trial. Out: every trial with its parameters and figures, in order, and the best one.
//!
//! A figure is how well the network's error ranks windows with known faults above windows without
//! ([`faults`]). The loss is no substitute: it is smallest for a network that copies what it sees, including
//! faults, and losses of different windows cannot be compared.
//!
//! The first trial is the default, so that tuning never makes it worse without saying so; the others
//! are drawn at random, which covers the few parameters that matter better than a grid does. Each
//! trial is executed several times with different seeds, the same for all trials, since a lucky
//! start does not make a better network; its figure is the mean.
//!
//! No trial is ended early in favour of another. Only losses are known while a network is fitted, and they can
//! be compared only between trials with the same window and scaling: one or two of ten, and the median
//! of those is chance. Every fit ends by its own loss, and twenty take minutes.
//!
//! Invariants: the same space, budget, seed and figures give the same trials; the trials drawn do not
//! depend on the figures.
//!
//! Source: Bergstra and Bengio 2012 (random search).

pub mod faults;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::config::TrainConfig;
use super::data::Scaling;
use faults::FaultKind;

/// Draws for a trial that is not yet there. A space that is exhausted gives fewer trials.
const MAX_DRAWS: usize = 100;

/// More trials than this are a mistake in typing.
const MAX_TRIALS: usize = 10_000;

/// More executions than this tell nothing new of a mean.
const MAX_EXECUTIONS: usize = 100;

/// More numbers than this are as good as all there are.
const WIDEST_BOTTLENECK: usize = 24;

/// Parameters of a fit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trial {
    /// Widths of the layers between input and output.
    pub layers: Vec<usize>,
    /// The step size of Adam.
    pub learning_rate: f64,
    /// Steps in a window.
    pub window: usize,
    /// How values enter the network.
    pub scaling: Scaling,
}

/// What trials are drawn from. Layers are drawn as a bottleneck and, to either side of it, layers
/// whose widths grow evenly, on a logarithmic scale, to that of the outermost one.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    /// The first trial.
    pub default: Trial,
    /// Widths of the outermost layers, all equally likely on a logarithmic scale.
    pub outer: RangeInclusive<usize>,
    /// Widths of the bottleneck, likewise; at most that of the outermost layer is drawn.
    pub bottleneck: RangeInclusive<usize>,
    /// Layers to either side of the bottleneck.
    pub depth: RangeInclusive<usize>,
    /// Learning rates, all equally likely on a logarithmic scale.
    pub learning_rate: RangeInclusive<f64>,
    /// Steps in a window.
    pub windows: Vec<usize>,
    /// How values enter the network.
    pub scalings: Vec<Scaling>,
}

/// How many trials, each executed how many times: `30x2`, or `30` for once each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrialBudget {
    /// Trials, the default one included; 1 to 10,000.
    pub trials: usize,
    /// Executions of each; 1 to 100.
    pub executions: usize,
}

/// Why a text is no budget.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a number of trials; write it as in \"30\" or \"30x2\": 1 to 10000 trials, each \
     executed 1 to 100 times"
)]
pub struct BudgetError(String);

/// How well a network tells faults.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// For each kind of which there were any, the share of pairs of a window with the fault and one
    /// without in which the one with it has the larger error: the area under the ROC curve.
    pub kinds: Vec<(FaultKind, f64)>,
}

impl Figure {
    /// The mean over kinds, so that no easy one decides; NaN without any.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.kinds.iter().map(|(_, area)| area).sum::<f64>() / self.kinds.len() as f64
    }
}

/// What came of a fit of a trial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Execution {
    /// How well the network tells faults.
    pub figure: Figure,
    /// Looks at its loss.
    pub passes: usize,
}

/// What became of a trial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrialResult {
    /// Its parameters.
    pub trial: Trial,
    /// What came of each execution, in the order of seeds; fewer than asked for if one failed.
    pub executions: Vec<Execution>,
    /// How it ended.
    pub ending: Ending,
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// All its executions went through.
    Complete,
    /// It could not be fitted or judged; why.
    Failed(String),
}

/// Every trial, in the order of their execution.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tuning {
    /// What became of them; the first one is the default.
    pub trials: Vec<TrialResult>,
    /// The place of the one with the largest figure. `None` if none was complete.
    pub best: Option<usize>,
}

impl TrialResult {
    /// The mean of its figures; `None` unless it is complete.
    #[must_use]
    pub fn figure(&self) -> Option<f64> {
        let sum: f64 = self.executions.iter().map(|it| it.figure.mean()).sum();
        (self.ending == Ending::Complete).then_some(sum / self.executions.len() as f64)
    }

    /// The mean for each kind of fault.
    #[must_use]
    pub fn by_kind(&self) -> Vec<(FaultKind, f64)> {
        let first = self.executions.iter().take(1).flat_map(|it| &it.figure.kinds);
        let mean = |at: usize| {
            let areas = self.executions.iter().map(|it| it.figure.kinds[at].1);
            areas.sum::<f64>() / self.executions.len() as f64
        };
        first.enumerate().map(|(at, (kind, _))| (*kind, mean(at))).collect()
    }
}

impl Tuning {
    /// The trial with the largest figure. `None` if none was complete.
    #[must_use]
    pub fn best(&self) -> Option<&TrialResult> {
        self.best.map(|place| &self.trials[place])
    }
}

impl FromStr for TrialBudget {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let error = || BudgetError(text.to_owned());
        let number = |text: &str, most: usize| {
            // No sign: `parse` would take a plus.
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits.then(|| text.parse().ok()).flatten();
            number.filter(|number| (1..=most).contains(number)).ok_or_else(error)
        };
        let (trials, executions) = text.split_once('x').unwrap_or((text, "1"));
        Ok(Self {
            trials: number(trials, MAX_TRIALS)?,
            executions: number(executions, MAX_EXECUTIONS)?,
        })
    }
}

impl fmt::Display for TrialBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.trials, self.executions)
    }
}

impl Trial {
    /// These settings with those of the trial.
    pub(super) fn settings(&self, config: &TrainConfig, seed: u64) -> TrainConfig {
        let Self { layers, learning_rate, window, scaling } = self.clone();
        TrainConfig { layers, learning_rate, window, scaling, seed, ..config.clone() }
    }
}

impl Space {
    /// Around these settings, for so many features that are learnt. A
    /// bottleneck as wide as there are features passes on what it is given, faults included: those drawn
    /// have at most half as many numbers, whatever the window, as its steps say much the same.
    pub(super) fn around(config: &TrainConfig, features: usize) -> Self {
        let widest = (features / 2).clamp(1, WIDEST_BOTTLENECK);
        Self {
            default: Trial {
                layers: config.layers.clone(),
                learning_rate: config.learning_rate,
                window: config.window,
                scaling: config.scaling,
            },
            outer: features.clamp(4, 16)..=(4 * features).clamp(8, 128),
            bottleneck: widest.min(3)..=widest,
            depth: 0..=2,
            learning_rate: 3e-4..=1e-2,
            windows: [1, 5, 10].to_vec(),
            scalings: vec![Scaling::Standard, Scaling::MinMax],
        }
    }

    /// Draws trials that differ from one another, the default being the first. Fewer if the space
    /// is nearly exhausted.
    ///
    /// # Panics
    /// With a range that is empty.
    #[must_use]
    pub fn draw(&self, trials: usize, seed: u64) -> Vec<Trial> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut drawn = vec![self.default.clone()];
        while drawn.len() < trials {
            let new = (0..MAX_DRAWS).map(|_| self.one(&mut rng)).find(|it| !drawn.contains(it));
            let Some(new) = new else { break };
            drawn.push(new);
        }
        drawn
    }

    fn one(&self, rng: &mut ChaCha8Rng) -> Trial {
        let outer = logarithmic(rng, &self.outer);
        let narrowest = *self.bottleneck.start();
        let widest = (*self.bottleneck.end()).min(outer).max(narrowest);
        let bottleneck = logarithmic(rng, &(narrowest..=widest));
        let depth = rng.random_range(self.depth.clone());
        let (low, high) = (self.learning_rate.start().ln(), self.learning_rate.end().ln());
        let rate = (low + (high - low) * rng.random::<f64>()).exp();
        Trial {
            layers: layers(outer, bottleneck, depth),
            // Three digits are enough to type, and change nothing.
            learning_rate: three_digits(rate),
            window: one_of(rng, &self.windows).copied().unwrap_or(self.default.window),
            scaling: one_of(rng, &self.scalings).copied().unwrap_or(self.default.scaling),
        }
    }
}

/// Widths from the outermost layer to the bottleneck and back.
fn layers(outer: usize, bottleneck: usize, depth: usize) -> Vec<usize> {
    let ratio = bottleneck as f64 / outer as f64;
    let width = |i: usize| (outer as f64 * ratio.powf(i as f64 / depth as f64)).round() as usize;
    let mut layers: Vec<usize> = (0..depth).map(width).collect();
    let back: Vec<usize> = layers.iter().rev().copied().collect();
    layers.push(bottleneck);
    layers.extend(back);
    layers
}

fn logarithmic(rng: &mut ChaCha8Rng, range: &RangeInclusive<usize>) -> usize {
    let (low, high) = (*range.start(), *range.end());
    // Every whole number has the stretch from itself to the next.
    let (from, to) = ((low as f64).ln(), (high as f64 + 1.0).ln());
    let drawn = (from + (to - from) * rng.random::<f64>()).exp();
    (drawn as usize).clamp(low, high)
}

fn one_of<'a, T>(rng: &mut ChaCha8Rng, all: &'a [T]) -> Option<&'a T> {
    // Drawn even where there is no choice, so that one list does not shift what follows it.
    let place = rng.random_range(0..all.len().max(1));
    all.get(place)
}

fn three_digits(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

/// Searches. `run` fits a trial with a seed and judges it. The first execution has the seed of the
/// search itself, so that the first trial is the network that would have been without tuning.
///
/// A trial that fails, or whose figure is not a number, is recorded; the search goes on.
///
/// # Panics
/// With a range in the space that is empty.
pub fn search<E: fmt::Display>(
    space: &Space,
    budget: TrialBudget,
    seed: u64,
    run: &mut dyn FnMut(&Trial, u64) -> Result<Execution, E>,
) -> Tuning {
    let mut trials: Vec<TrialResult> = Vec::new();
    for trial in space.draw(budget.trials, seed) {
        let mut outcome = TrialResult { trial, executions: Vec::new(), ending: Ending::Complete };
        for execution in 0..budget.executions {
            match run(&outcome.trial, seed.wrapping_add(execution as u64)) {
                Err(error) => outcome.ending = Ending::Failed(error.to_string()),
                Ok(execution) if execution.figure.mean().is_nan() => {
                    outcome.ending = Ending::Failed("there is no fault to judge it by".to_owned());
                }
                Ok(execution) => outcome.executions.push(execution),
            }
            if outcome.ending != Ending::Complete {
                break;
            }
        }
        trials.push(outcome);
    }
    let complete = trials.iter().enumerate().filter_map(|(i, it)| Some((i, it.figure()?)));
    // Of equal ones the first: the default if it is among them.
    let best = complete.rev().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i);
    Tuning { trials, best }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> Space {
        Space {
            default: Trial {
                layers: vec![8, 4, 8],
                learning_rate: 1e-3,
                window: 1,
                scaling: Scaling::MinMax,
            },
            outer: 4..=64,
            bottleneck: 1..=16,
            depth: 0..=2,
            learning_rate: 1e-4..=1e-2,
            windows: vec![1, 5, 10],
            scalings: vec![Scaling::MinMax, Scaling::Standard],
        }
    }

    fn execution(areas: &[f64]) -> Execution {
        let kinds = FaultKind::ALL.into_iter().zip(areas.iter().copied()).collect();
        Execution { figure: Figure { kinds }, passes: 7 }
    }

    /// The larger, the nearer the learning rate is to 0.003 and the bottleneck to 4.
    fn height(trial: &Trial, seed: u64) -> f64 {
        let bottleneck = *trial.layers.iter().min().expect("a layer") as f64;
        let rate = (trial.learning_rate / 3e-3).ln();
        let far = rate * rate + (bottleneck / 4.0).ln().powi(2);
        1.0 / (1.0 + far) - 0.01 * (seed % 7) as f64
    }

    #[track_caller]
    fn check(text: &str, expected: Option<(usize, usize)>) {
        let found = text.parse::<TrialBudget>().ok();
        assert_eq!(found.map(|it| (it.trials, it.executions)), expected, "{text}");
        if let Some(budget) = found {
            assert_eq!(budget.to_string().parse(), Ok(budget));
        }
    }

    #[test]
    fn a_budget_is_trials_and_executions() {
        check("30", Some((30, 1)));
        check("30x2", Some((30, 2)));
        check("10000x100", Some((10_000, 100)));
        for text in ["", "x", "30x", "x2", "0", "3x0", "-1", "+3", "3X2", "3x2x1", "10001", "3x101"]
        {
            check(text, None);
        }
        let error = "many".parse::<TrialBudget>().expect_err("no number").to_string();
        assert!(error.starts_with("\"many\" is not a number of trials; write it as in"), "{error}");
    }

    #[test]
    fn the_seed_decides_the_trials() {
        let trials = space().draw(50, 1);
        assert_eq!(trials.len(), 50);
        assert_eq!(trials[0], space().default);
        assert_eq!(trials, space().draw(50, 1));
        assert_eq!(trials[..20], space().draw(20, 1));
        assert_ne!(trials, space().draw(50, 2));
        let rates: Vec<f64> = trials.iter().map(|it| it.learning_rate).collect();
        assert!(rates.iter().all(|rate| (1e-4..=1e-2).contains(rate)));
        // Half of them below the middle of the logarithmic scale.
        let below = rates.iter().filter(|rate| **rate < 1e-3).count();
        assert!((15..=35).contains(&below), "{below}");
        for trial in &trials {
            let reversed: Vec<usize> = trial.layers.iter().rev().copied().collect();
            assert_eq!(trial.layers, reversed);
            assert!((1..=5).contains(&trial.layers.len()));
            let middle = trial.layers[trial.layers.len() / 2];
            assert_eq!(trial.layers.iter().min(), Some(&middle));
            assert!((1..=16).contains(&middle) && trial.layers[0] <= 64, "{trial:?}");
        }
        for window in [1, 5, 10] {
            assert!(trials.iter().any(|it| it.window == window));
        }
    }

    #[test]
    fn layers_narrow_evenly() {
        assert_eq!(layers(32, 8, 2), [32, 16, 8, 16, 32]);
        assert_eq!(layers(32, 8, 1), [32, 8, 32]);
        assert_eq!(layers(32, 8, 0), [8]);
    }

    #[test]
    fn a_small_space_is_exhausted() {
        let small = Space {
            outer: 2..=2,
            bottleneck: 1..=1,
            depth: 1..=1,
            learning_rate: 1e-3..=1e-3,
            windows: vec![1, 5],
            scalings: Vec::new(),
            ..space()
        };
        let trials = small.draw(30, 1);
        assert_eq!(trials.len(), 3, "{trials:?}");
        assert_eq!(trials[1].scaling, Scaling::MinMax);
        assert_eq!(trials[1].layers, [2, 1, 2]);
    }

    #[test]
    fn the_best_is_found() {
        let budget = TrialBudget { trials: 40, executions: 2 };
        let mut run = |trial: &Trial, seed: u64| Ok::<_, String>(execution(&[height(trial, seed)]));
        let tuning = search(&space(), budget, 5, &mut run);
        assert_eq!(tuning, search(&space(), budget, 5, &mut run));
        assert_eq!(tuning.trials.len(), 40);
        let best = tuning.best().expect("one");
        let heights = tuning.trials.iter().map(|it| height(&it.trial, 5));
        let largest = heights.max_by(f64::total_cmp).expect("trials");
        assert_eq!(height(&best.trial, 5), largest);
        assert!(largest > height(&space().default, 5));
        let mean = (height(&best.trial, 5) + height(&best.trial, 6)) / 2.0;
        assert_eq!(best.figure(), Some(mean));
    }

    /// A kind that is told every time does not make up for two that are not.
    #[test]
    fn no_easy_kind_decides() {
        let areas = [vec![0.7, 0.7, 0.7], vec![1.0, 0.5, 0.5], vec![0.7, 0.9, 0.4]];
        let budget = TrialBudget { trials: 3, executions: 1 };
        let mut left = areas.iter();
        let tuning = search(&space(), budget, 1, &mut |_, _| {
            Ok::<_, String>(execution(left.next().expect("three calls")))
        });
        assert_eq!(tuning.best, Some(0));
        let found = tuning.trials[1].by_kind();
        let expected = [1.0, 0.5, 0.5];
        assert_eq!(found, FaultKind::ALL.into_iter().zip(expected).collect::<Vec<_>>());
    }

    #[test]
    fn what_fails_is_told_and_passed_over() {
        let mut calls = 0;
        let budget = TrialBudget { trials: 4, executions: 2 };
        let tuning = search(&space(), budget, 1, &mut |_, seed| {
            calls += 1;
            match calls {
                1 => Err("the loss is no longer a number in pass 1"),
                2 => Ok(execution(&[])),
                3 | 5 => Ok(execution(&[0.7, 0.9])),
                4 => Ok(execution(&[0.5, 0.7])),
                _ => {
                    assert_eq!(seed, 2);
                    Ok(execution(&[0.6, 0.6]))
                }
            }
        });
        let endings: Vec<_> = tuning.trials.iter().map(|it| it.ending.clone()).collect();
        let failed = |text: &str| Ending::Failed(text.to_owned());
        let expected = [
            failed("the loss is no longer a number in pass 1"),
            failed("there is no fault to judge it by"),
            Ending::Complete,
            Ending::Complete,
        ];
        assert_eq!(endings, expected);
        let equal = [tuning.trials[2].figure(), tuning.trials[3].figure()];
        assert_eq!(equal[0], equal[1]);
        // Of two that are equal the first.
        assert_eq!(tuning.best, Some(2));
        let none = search(&space(), budget, 1, &mut |_, _| Err::<Execution, _>("nothing"));
        assert_eq!((none.best, none.trials.len()), (None, 4));
    }
}

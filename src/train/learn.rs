//! Learning: a fit of a dataset, after a search for better settings where that is asked for.
//!
//! In: a dataset in parts, the features, the configuration. Out: the fit, the settings it was made
//! with and the parts that fit those. Shows progress where standard error is a terminal.

use std::ops::ControlFlow;

use super::calendar::{self, Role};
use super::config::TrainConfig;
use super::coverage::Coverage;
use super::dataset::{Dataset, Split};
use super::ensemble;
use super::fit::{self, Fitted};
use super::run::TrainError;
use super::tune::faults::{self, Faults};
use super::tune::{self, Execution, Tuning};
use crate::features::{Clock, FeatureSpec, TIME_OF_DAY, TIME_OF_WEEK};
use crate::history::Progress;
use crate::model::Runtime;

/// A fit, and what was tried for it.
pub(super) struct Learnt {
    /// The fit.
    pub fitted: Fitted,
    /// The settings that it was made with: those of the best trial, where there were trials.
    pub config: TrainConfig,
    /// Every trial.
    pub tuning: Option<Tuning>,
    /// The parts of the dataset for these settings.
    pub split: Split,
}

/// Learning from a dataset.
pub(super) struct Learning<'a> {
    /// What tells what a graph says.
    pub runtime: &'a Runtime,
    /// What from.
    pub dataset: &'a Dataset,
    /// What each feature is good for.
    pub roles: Vec<Role>,
    /// Columns of the time of day and of the week.
    pub clocks: [usize; 2],
    split: &'a Split,
    config: &'a TrainConfig,
}

impl<'a> Learning<'a> {
    /// A dataset in parts, and the settings to begin with.
    pub fn new(
        runtime: &'a Runtime,
        dataset: &'a Dataset,
        split: &'a Split,
        features: &[FeatureSpec],
        config: &'a TrainConfig,
    ) -> Self {
        // Only what the fit sees tells whether it has seen every hour.
        let coverage = Coverage::of(dataset, &split.fit);
        let roles = features.iter().map(|feature| calendar::role(feature, &coverage)).collect();
        let place = |clock: Clock| {
            let found = features.iter().position(|it| clock.is(it));
            found.expect("they were added")
        };
        let clocks = [place(TIME_OF_DAY), place(TIME_OF_WEEK)];
        Self { runtime, dataset, roles, clocks, split, config }
    }

    /// Fits, after a search for better settings where there is a budget for one.
    pub fn run(&self, budget: Option<tune::Budget>) -> Result<Learnt, TrainError> {
        let Some(budget) = budget else {
            let config = self.config.clone();
            let progress = Progress::start("fit", config.epochs);
            let fitted = self.fit(self.split, &config, &mut |epoch, loss| {
                progress.done(epoch, format!("loss {loss:.3e}"));
                ControlFlow::Continue(())
            })?;
            return Ok(Learnt { fitted, config, tuning: None, split: self.split.clone() });
        };
        let progress = Progress::start("trials", budget.trials * budget.executions);
        let mut done = 0;
        let features = faults::learnt(self.dataset, self.split, &self.roles);
        let space = self.config.space(features.len());
        let faults = Faults::lay(self.dataset, &features, self.config, &space);
        let tuning = tune::search(&space, budget, self.config.seed, &mut |trial, seed| {
            let execution = self.execute(&faults, &self.config.with(trial, seed))?;
            done += 1;
            progress.done(done, format!("faults told {:.3}", execution.figure.mean()));
            Ok::<_, TrainError>(execution)
        });
        let best = tuning.best().map(|outcome| outcome.trial.clone());
        let config = best.map_or_else(
            || self.config.clone(),
            |trial| self.config.with(&trial, self.config.seed),
        );
        let split = self.dataset.split(config.validation_share, fit::window(&config));
        let split = split.unwrap_or_else(|_| self.split.clone());
        let fitted = self.fit(&split, &config, &mut |_, _| ControlFlow::Continue(()))?;
        Ok(Learnt { fitted, config, tuning: Some(tuning), split })
    }

    fn fit(
        &self,
        split: &Split,
        config: &TrainConfig,
        on_epoch: fit::OnEpoch<'_>,
    ) -> Result<Fitted, TrainError> {
        let of = (self.dataset, split);
        fit::fit(self.runtime, of, (&self.roles, self.clocks), config, on_epoch)
    }

    /// A fit of a trial, judged: of all branches only the network has parameters to try.
    fn execute(&self, faults: &Faults, config: &TrainConfig) -> Result<Execution, TrainError> {
        // A longer window needs steps that were a shorter one's own.
        let split = self.dataset.split(config.validation_share, fit::window(config))?;
        let of = (self.roles.as_slice(), self.clocks);
        let mut network = fit::network(self.dataset, &split, of, config)?;
        ensemble::measure(self.runtime, &mut network, self.dataset, &split, config.scaling)?;
        let figure = faults.judge(self.runtime, self.dataset, &network)?;
        Ok(Execution { figure, passes: network.course.epochs })
    }
}

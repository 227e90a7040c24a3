//! A dataset: cleaned feature values by entity and step, ready to be learnt from.
//!
//! In: a recording with gaps. Out: for each entity the values at every step, with policies applied and
//! a mark at the steps that can be used; the moment that divides it into parts; and the count of everything
//! that was left out or filled in.
//!
//! A step with missing features goes through the same code as in serving. Values stay float32, as graphs
//! take them: training on more digits than serving has would only look better. They are cleaned one entity
//! after the other, so that memory is that of the recording: 4 bytes a value, 1.5 GB for ten million
//! steps of 38 features.

mod cleaning;
mod coverage;
mod far_out;
pub mod margins;
pub mod medians;
pub mod range;
mod role;
pub mod scaler;

use ndarray::{Array2, Array3, ArrayView2};

use crate::duration::Duration;
use crate::labels::Labels;
use crate::model::Runtime;

pub use cleaning::Cleaning;
#[cfg(test)]
pub use coverage::tests::hours;
pub use coverage::{Coverage, Period};
pub use role::{Role, roles};
pub use scaler::{Scaler, Scaling};

use range::OwnCells;

/// Windows of the training part, at least: one batch. Fewer say nothing about what is normal.
pub const MIN_TRAINING_ROWS: usize = 32;

/// The latest part, which decides when a network's learning ends.
const STOPPING_SHARE: f64 = 0.1;

/// Cleaned values by entity and step.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The steps, strictly ascending.
    pub times_ms: Vec<i64>,
    /// The distance between two steps.
    pub step_ms: i64,
    /// How long serving holds values and bridges gaps.
    pub stale_after: Duration,
    /// The entities that have any usable step.
    pub entities: Vec<Rows>,
    /// What became of the recording.
    pub cleaning: Cleaning,
}

/// The steps of one entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// The entity labels.
    pub labels: Labels,
    /// Steps by features.
    ///
    /// # NaN
    /// A value that is missing and may be; anything at steps that are not usable.
    pub values: Array2<f32>,
    /// For each step, whether it can be used.
    pub usable: Vec<bool>,
    /// For each step, whether it stands out and is not learnt from, though it can be used; empty for none.
    pub left_out: Vec<bool>,
    /// The values that the entity measured itself at that step.
    pub own: OwnCells,
}

/// What a fit is made from.
#[derive(Clone)]
pub struct Training<'a> {
    /// What tells what a graph says.
    pub runtime: &'a Runtime,
    /// Values by entity and step.
    pub dataset: &'a Dataset,
    /// Its parts.
    pub split: &'a Split,
    /// What each feature is good for.
    pub roles: &'a [Role],
    /// Columns of the time of day and of the week.
    pub clocks: [usize; 2],
}

/// Why there is nothing to learn from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatasetError {
    /// Not a single value.
    #[error(
        "no feature has a value at any of {steps} steps; look at the expressions, or at the columns \
         of the file, and at the range"
    )]
    NoValues {
        /// The steps.
        steps: usize,
    },
    /// Everybody is too young.
    #[error(
        "no step can be used: at all {warming} at which an entity is there, it has not been there for the \
         {longest} that the longest range looks back; use a longer range, or wait until the server has more"
    )]
    Young {
        /// Steps of entities.
        warming: usize,
        /// The longest range.
        longest: Duration,
    },
    /// No row survives cleaning.
    #[error(
        "no step can be used: {dropped} were dropped, for lack of {features}, and {excluded} were to \
         be left out; correct the expression, or give the feature `missing: fill VALUE`"
    )]
    Empty {
        /// Dropped steps.
        dropped: usize,
        /// Excluded steps.
        excluded: usize,
        /// The features they lacked most often, with counts.
        features: String,
    },
    /// Too few rows.
    #[error(
        "{training} windows of {window} steps to train on; at least {MIN_TRAINING_ROWS} are needed, \
         at more than one moment: use a longer range, a shorter step, fewer gaps or more entities"
    )]
    TooFew {
        /// Windows.
        training: usize,
        /// Steps of each.
        window: usize,
    },
}

/// A window: the place of its newest step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowPosition {
    /// Index of the entity.
    pub entity: u32,
    /// Index of the newest step.
    pub step: u32,
}

/// A dataset in parts, by windows in the order of entity and time.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// What a network is fitted on.
    pub fit: Vec<WindowPosition>,
    /// Later than those: decide when its learning ends.
    pub stopping: Vec<WindowPosition>,
}

impl Rows {
    /// Whether a step can be learnt from.
    pub fn is_learnt(&self, step: usize) -> bool {
        self.usable[step] && !self.left_out.get(step).is_some_and(|it| *it)
    }
}

impl Split {
    /// Everything that is learnt from, in the order of entity and time.
    pub fn training(&self) -> Vec<WindowPosition> {
        let mut places = [self.fit.as_slice(), &self.stopping].concat();
        places.sort_by_key(|place| (place.entity, place.step));
        places
    }

    /// The same parts of one entity's dataset; nothing where that has too few windows.
    pub fn only(&self, entity: usize) -> Option<Self> {
        let own = |places: &[WindowPosition]| -> Vec<WindowPosition> {
            let of_entity = places.iter().filter(|place| place.entity as usize == entity);
            of_entity.map(|place| WindowPosition { entity: 0, step: place.step }).collect()
        };
        let split = Self { fit: own(&self.fit), stopping: own(&self.stopping) };
        split.is_enough().then_some(split)
    }

    fn is_enough(&self) -> bool {
        let few = self.fit.is_empty() || self.stopping.is_empty();
        !few && self.fit.len() + self.stopping.len() >= MIN_TRAINING_ROWS
    }
}

impl Dataset {
    /// Parts all entities at the same moment: a tenth of the steps to learn from, the latest ones, decide
    /// when learning ends.
    ///
    /// # Errors
    /// When there are too few windows.
    pub fn split(&self, window: usize) -> Result<Split, DatasetError> {
        let counts: Vec<usize> = (0..self.times_ms.len())
            .map(|step| self.entities.iter().filter(|rows| rows.is_learnt(step)).count())
            .collect();
        let all: usize = counts.iter().sum();
        let mut seen = 0;
        let stopping_from = counts.iter().position(|count| {
            seen += count;
            seen as f64 > (1.0 - STOPPING_SHARE) * all as f64
        });
        let stopping_from = stopping_from.unwrap_or(counts.len());
        let fit = self.windows(0, stopping_from, window);
        let stopping = self.windows(stopping_from, self.times_ms.len(), window);
        let split = Split { fit, stopping };
        match split.is_enough() {
            true => Ok(split),
            false => {
                let training = split.fit.len() + split.stopping.len();
                Err(DatasetError::TooFew { training, window })
            }
        }
    }

    /// One entity alone.
    pub fn only(&self, entity: usize) -> Self {
        Self {
            times_ms: self.times_ms.clone(),
            step_ms: self.step_ms,
            stale_after: self.stale_after,
            entities: vec![self.entities[entity].clone()],
            cleaning: self.cleaning.clone(),
        }
    }

    /// The windows whose newest step is in `from..to`: as many steps to learn from without a gap.
    pub fn windows(&self, from: usize, to: usize, window: usize) -> Vec<WindowPosition> {
        let mut places = Vec::new();
        for (entity, rows) in self.entities.iter().enumerate() {
            let mut run = 0;
            for step in 0..to {
                let follows =
                    step > 0 && self.times_ms[step] - self.times_ms[step - 1] == self.step_ms;
                run = match (rows.is_learnt(step), follows) {
                    (true, true) => run + 1,
                    (true, false) => 1,
                    (false, _) => 0,
                };
                if step >= from && run >= window {
                    places.push(WindowPosition { entity: entity as u32, step: step as u32 });
                }
            }
        }
        places
    }

    /// How many of the steps to learn from are in no window, as gaps are nearer than one is long.
    pub fn without_window(&self, window: usize) -> usize {
        let places = self.windows(0, self.times_ms.len(), window);
        let first = places.first().map_or(0, |_| window);
        let within = places.windows(2).map(|pair| match pair[0].entity == pair[1].entity {
            true => window.min((pair[1].step - pair[0].step) as usize),
            false => window,
        });
        let learnt =
            |rows: &Rows| (0..self.times_ms.len()).filter(|it| rows.is_learnt(*it)).count();
        self.entities.iter().map(learnt).sum::<usize>() - within.sum::<usize>() - first
    }

    /// Windows as a batch `[places, window, features]`, oldest step first.
    pub fn gather(&self, places: &[WindowPosition], window: usize) -> Array3<f32> {
        let features = self.entities[0].values.ncols();
        let mut values = Vec::with_capacity(places.len() * window * features);
        for place in places {
            let rows = &self.entities[place.entity as usize].values;
            let first = place.step as usize + 1 - window;
            let slice = rows.as_slice().expect("the standard layout is a slice");
            values.extend_from_slice(&slice[first * features..][..window * features]);
        }
        Array3::from_shape_vec((places.len(), window, features), values).expect("whole windows")
    }

    /// The newest steps of windows, `[places, features]`.
    pub fn newest(&self, places: &[WindowPosition]) -> Array2<f32> {
        let features = self.entities[0].values.ncols();
        self.gather(places, 1).into_shape_with_order((places.len(), features)).expect("one step")
    }

    /// The values of an entity at a step, if the step can be used.
    pub fn row(&self, entity: usize, step: usize) -> Option<&[f32]> {
        let rows = &self.entities[entity];
        let values: ArrayView2<'_, f32> = rows.values.view();
        rows.usable[step].then(|| values.index_axis_move(ndarray::Axis(0), step).to_slice())?
    }
}

#[cfg(test)]
pub mod tests;

//! A dataset: cleaned feature values by entity and step, ready to be learnt from.
//!
//! In: a recording with gaps. Out: for each entity the values at every step, policies applied, with
//! a mark at the steps that can be used; the moments that part it; and the count of everything that
//! was left out or filled in.
//!
//! A step with missing features goes through the very code that serving sends it through. Values
//! stay float32, which is what a graph is fed with: training on more digits than serving has would
//! only look better. They are cleaned one entity after the other, so that memory is that of the
//! recording: 4 bytes a value, 1.5 GB for ten million steps of 38 features.

use ndarray::{Array2, Array3, ArrayView2};

use super::range::OwnCells;
use crate::detect::{DetectConfig, Played, Replay, Step};
use crate::duration::Duration;
use crate::features::{EntityState, FeatureSpec, Missing, Provenance, Recording};
use crate::labels::Labels;

/// Windows of the training part, at least: one batch. Fewer say nothing about what is normal.
pub(super) const MIN_TRAINING_ROWS: usize = 32;

/// Windows of the validation part, at least: fewer do not tell what is usual. A threshold takes more.
pub(super) const MIN_VALIDATION_ROWS: usize = 8;

/// The last part of what may be learnt, which decides when learning ends.
const STOPPING_SHARE: f64 = 0.1;

/// Cleaned values by entity and step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dataset {
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
pub(super) struct Rows {
    /// The entity labels.
    pub labels: Labels,
    /// Steps by features.
    ///
    /// # NaN
    /// A value that is missing and may be; anything at steps that are not usable.
    pub values: Array2<f32>,
    /// For each step, whether it can be learnt from.
    pub usable: Vec<bool>,
    /// The values that the entity measured itself at that step.
    pub own: OwnCells,
}

/// What became of a recording, in counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cleaning {
    /// Entities with at least one usable step.
    pub entities: usize,
    /// Entities without any.
    pub empty_entities: usize,
    /// Usable steps of all entities.
    pub rows: usize,
    /// Steps at which an entity was there and had to be dropped.
    pub dropped: usize,
    /// Steps at which an entity was there and that were to be left out.
    pub excluded: usize,
    /// Steps that came twice; the first counts.
    pub duplicated: usize,
    /// For each feature, infinite values, taken as missing.
    pub infinite: Vec<usize>,
    /// For each feature, steps at which the server refused it, missing for every entity.
    pub failed: Vec<usize>,
    /// For each feature, steps of entities that two series claimed, missing.
    pub ambiguous: Vec<usize>,
    /// For each feature, values of series without the entity labels, left out.
    pub unplaced: Vec<usize>,
    /// For each feature, the dropped steps that lacked it.
    pub dropped_for: Vec<usize>,
    /// For each feature, values that its policy held or filled in.
    pub filled: Vec<usize>,
    /// For each feature, values at usable steps that are missing and left out of the error.
    pub masked: Vec<usize>,
    /// For each feature, the entities that never have it, of those with a usable step.
    pub absent: Vec<usize>,
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
        "{training} windows of {window} steps to train on and {validation} to validate with; at \
         least {MIN_TRAINING_ROWS} and {MIN_VALIDATION_ROWS} are needed: use a longer range, a \
         shorter step, fewer gaps or more entities"
    )]
    TooFew {
        /// Windows before the parting moment.
        training: usize,
        /// Windows after it.
        validation: usize,
        /// Steps of each.
        window: usize,
    },
}

/// A window: the place of its newest step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Index of the entity.
    pub entity: u32,
    /// Index of the newest step.
    pub step: u32,
}

/// A dataset in parts, by windows in the order of entity and time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Split {
    /// To fit on.
    pub fit: Vec<Place>,
    /// Later than those: decide when to stop.
    pub stopping: Vec<Place>,
    /// Later still: weights, scaler and season know nothing of these. What is usual is found on them
    /// too, and the threshold on them alone.
    pub validation: Vec<Place>,
    /// The first step of the validation part.
    pub validation_from: usize,
}

impl Split {
    /// Everything that may be learnt from.
    pub fn training(&self) -> Vec<Place> {
        self.fit.iter().chain(&self.stopping).copied().collect()
    }

    /// The same parts of one entity's dataset; nothing where that has too few windows.
    pub fn only(&self, entity: usize) -> Option<Self> {
        let own = |places: &[Place]| -> Vec<Place> {
            let of_entity = places.iter().filter(|place| place.entity as usize == entity);
            of_entity.map(|place| Place { entity: 0, step: place.step }).collect()
        };
        let (fit, stopping) = (own(&self.fit), own(&self.stopping));
        let split = Self {
            validation: own(&self.validation),
            validation_from: self.validation_from,
            fit,
            stopping,
        };
        split.is_enough().then_some(split)
    }

    fn is_enough(&self) -> bool {
        let few = self.fit.is_empty() || self.stopping.is_empty();
        let training = self.fit.len() + self.stopping.len();
        !few && training >= MIN_TRAINING_ROWS && self.validation.len() >= MIN_VALIDATION_ROWS
    }
}

impl Dataset {
    /// Cleans a recording.
    ///
    /// # Errors
    /// When not a single step can be used.
    pub fn clean(
        mut recording: Recording,
        features: &[FeatureSpec],
        entity: &[String],
        config: &DetectConfig,
    ) -> Result<Self, DatasetError> {
        let count = features.len();
        let counts = std::mem::take(&mut recording.counts);
        let mut cleaning = Cleaning {
            duplicated: counts.duplicated,
            infinite: counts.infinite,
            failed: counts.failed,
            ambiguous: counts.ambiguous,
            unplaced: counts.unplaced,
            dropped_for: vec![0; count],
            filled: vec![0; count],
            masked: vec![0; count],
            absent: vec![0; count],
            ..Cleaning::default()
        };
        // What no entity ever has weighs nothing in the model that will be.
        let has_value = |i: usize| {
            let columns = recording.entities.iter().map(|it| it.values.column(i));
            columns.flatten().any(|value| value.is_finite())
        };
        let never: Vec<usize> = (0..count).filter(|i| !has_value(*i)).collect();
        // More than half of them are not what was asked for: then nothing is enough.
        let is_enough = 2 * never.len() <= recording.own.iter().filter(|own| **own).count();
        let never = never.iter().filter(|_| is_enough);
        let weightless: Vec<String> = never.map(|i| features[*i].name.clone()).collect();
        let played = Played { features, entity, can_mask: true, weightless: &weightless };
        let mut entities = Vec::new();
        for entity in std::mem::take(&mut recording.entities) {
            // One at a time, so that memory is that of the recording and of one entity.
            recording.entities = vec![entity];
            let rows = clean(&recording, played, config, &mut cleaning);
            entities.extend(Some(rows).filter(|rows| rows.usable.contains(&true)));
        }
        let Recording { times_ms, step_ms, .. } = recording;
        if entities.is_empty() {
            return Err(nothing(&cleaning, features, times_ms.len()));
        }
        let stale_after = config.stale_after;
        Ok(Self { times_ms, step_ms, stale_after, entities, cleaning })
    }

    /// Parts all entities at the same moments: about `share` of the usable steps, the latest ones,
    /// validate.
    ///
    /// # Errors
    /// When a part has too few windows.
    pub fn split(&self, share: f64, window: usize) -> Result<Split, DatasetError> {
        let counts: Vec<usize> = (0..self.times_ms.len())
            .map(|step| self.entities.iter().filter(|rows| rows.usable[step]).count())
            .collect();
        let all: usize = counts.iter().sum();
        let moment = |wanted: f64| {
            let mut seen = 0;
            let step = counts.iter().position(|count| {
                seen += count;
                seen as f64 > wanted
            });
            step.unwrap_or(counts.len())
        };
        let validation_from = moment((1.0 - share) * all as f64);
        let stopping_from = moment((1.0 - share) * (1.0 - STOPPING_SHARE) * all as f64);
        let fit = self.windows(0, stopping_from, window);
        let stopping = self.windows(stopping_from, validation_from, window);
        let validation = self.windows(validation_from, self.times_ms.len(), window);
        let split = Split { fit, stopping, validation, validation_from };
        if !split.is_enough() {
            let training = split.fit.len() + split.stopping.len();
            let validation = split.validation.len();
            return Err(DatasetError::TooFew { training, validation, window });
        }
        Ok(split)
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

    /// The windows whose newest step is in `from..to`: as many usable steps without a gap.
    pub fn windows(&self, from: usize, to: usize, window: usize) -> Vec<Place> {
        let mut places = Vec::new();
        for (entity, rows) in self.entities.iter().enumerate() {
            let mut run = 0;
            for step in 0..to {
                let follows =
                    step > 0 && self.times_ms[step] - self.times_ms[step - 1] == self.step_ms;
                run = match (rows.usable[step], follows) {
                    (true, true) => run + 1,
                    (true, false) => 1,
                    (false, _) => 0,
                };
                if step >= from && run >= window {
                    places.push(Place { entity: entity as u32, step: step as u32 });
                }
            }
        }
        places
    }

    /// Windows as a batch `[places, window, features]`, oldest step first.
    pub fn gather(&self, places: &[Place], window: usize) -> Array3<f32> {
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
    pub fn newest(&self, places: &[Place]) -> Array2<f32> {
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

/// Cleans the only entity of a recording.
fn clean(
    recording: &Recording,
    played: Played<'_>,
    config: &DetectConfig,
    cleaning: &mut Cleaning,
) -> Rows {
    let entity = &recording.entities[0];
    let (steps, count) = entity.values.dim();
    let mut values = Array2::from_elem((steps, count), f32::NAN);
    let mut usable = vec![false; steps];
    let mut own = OwnCells::new(steps, count);
    let mut present = vec![false; count];
    let columns = (0..count).map(Some).collect();
    Replay::new(recording, played, columns, config).run(|Step { step, matrix, .. }| {
        let complete = matrix.state(0) == EntityState::Complete;
        // An entity that is not there, or has not been for long enough, is not missing anything.
        if !complete && matrix.state(0) != EntityState::Incomplete {
            return;
        }
        let cells = matrix.row(0).iter().zip(matrix.provenance(0)).zip(values.row_mut(step));
        for (i, ((now, from), cell)) in cells.enumerate() {
            let is_measured = matches!(from, Provenance::Own | Provenance::Common);
            present[i] |= complete && is_measured;
            cleaning.filled[i] += usize::from(complete && from.has_value() && !is_measured);
            cleaning.masked[i] += usize::from(complete && !from.has_value());
            cleaning.dropped_for[i] += usize::from(!complete && !from.has_value());
            *cell = *now as f32;
            if *from == Provenance::Own {
                own.mark(step, i);
            }
        }
        let is_excluded = entity.is_excluded(step);
        usable[step] = complete && !is_excluded;
        cleaning.rows += usize::from(complete && !is_excluded);
        cleaning.excluded += usize::from(is_excluded);
        cleaning.dropped += usize::from(!complete && !is_excluded);
    });
    if usable.contains(&true) {
        cleaning.entities += 1;
        for (i, present) in present.iter().enumerate() {
            let fills = matches!(played.features[i].missing, Missing::Fill(_));
            cleaning.absent[i] += usize::from(!present && !fills);
        }
    } else {
        cleaning.empty_entities += 1;
    }
    Rows { labels: entity.labels.clone(), values, usable, own }
}

fn nothing(cleaning: &Cleaning, features: &[FeatureSpec], steps: usize) -> DatasetError {
    if cleaning.dropped + cleaning.excluded == 0 {
        return DatasetError::NoValues { steps };
    }
    let mut lacking: Vec<(usize, &str)> = (cleaning.dropped_for.iter().zip(features))
        .filter(|(count, _)| **count > 0)
        .map(|(count, feature)| (*count, feature.name.as_str()))
        .collect();
    lacking.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let texts = lacking.iter().take(5).map(|(count, name)| format!("{name} ({count})"));
    DatasetError::Empty {
        dropped: cleaning.dropped,
        excluded: cleaning.excluded,
        features: texts.collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
pub(super) mod tests;

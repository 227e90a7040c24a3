//! Cleaning: a recording with gaps becomes a dataset.
//!
//! In: a recording and the features' policies. Out: the dataset, and the count of everything that was
//! left out or filled in. Entities are cleaned one after the other, by the same code that serving uses.

use ndarray::Array2;

use super::margins::{AFTER_MS, BEFORE_MS, widened};
use super::range::OwnCells;
use super::{Dataset, DatasetError, Rows};
use crate::detect::{DetectConfig, Played, Replay, Step};
use crate::duration::Duration;
use crate::features::{EntityState, FeatureSpec, Features, Missing, Provenance, Recording};

/// What became of a recording, in counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cleaning {
    /// Entities with at least one usable step.
    pub entities: usize,
    /// Entities without any.
    pub empty_entities: usize,
    /// Entities that the source has and that were left out, since these are a sample.
    pub others: usize,
    /// Usable steps of all entities.
    pub rows: usize,
    /// Steps at which an entity was there and had to be dropped.
    pub dropped: usize,
    /// Steps at which an entity had not been there for as long as the longest range looks back.
    pub warming: usize,
    /// Steps at which an entity was there and that were to be left out, with the margins that have.
    pub excluded: usize,
    /// Usable steps to learn from that are in no window of the model, since gaps are nearer.
    pub without_window: usize,
    /// Steps that came twice; the first counts.
    pub duplicated: usize,
    /// For each feature, values that are far out of what their entity has, taken as missing.
    pub far_out: Vec<usize>,
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

impl Cleaning {
    /// What is counted by feature: what it is called, and the counts.
    pub(in crate::train) fn by_feature(&self) -> [(&'static str, &[usize]); 9] {
        [
            ("dropped for", &self.dropped_for),
            ("filled", &self.filled),
            ("masked", &self.masked),
            ("far out", &self.far_out),
            ("infinite", &self.infinite),
            ("refused", &self.failed),
            ("ambiguous", &self.ambiguous),
            ("unplaced", &self.unplaced),
            ("absent", &self.absent),
        ]
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
            others: counts.others,
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
            return Err(nothing(&cleaning, (features, entity), times_ms.len()));
        }
        let stale_after = config.stale_after;
        Ok(Self { times_ms, step_ms, stale_after, entities, cleaning })
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
    let excluded = widened(&entity.excluded, &recording.times_ms, BEFORE_MS, AFTER_MS);
    let columns = (0..count).map(Some).collect();
    Replay::new(recording, played, columns, config).run(|Step { step, matrix, .. }| {
        let complete = matrix.state(0) == EntityState::Complete;
        cleaning.warming += usize::from(matrix.state(0) == EntityState::Warming);
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
        let is_excluded = excluded[step];
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
    Rows { labels: entity.labels.clone(), values, usable, left_out: Vec::new(), own }
}

fn nothing(
    cleaning: &Cleaning,
    (features, entity): (&[FeatureSpec], &[String]),
    steps: usize,
) -> DatasetError {
    if cleaning.dropped + cleaning.excluded == 0 {
        let warming = cleaning.warming;
        // Without ranges nobody is too young.
        if let (1.., Ok(parsed)) = (warming, Features::parse(features, entity)) {
            let longest = Duration::from_ms(parsed.longest_range_ms());
            return DatasetError::Young { warming, longest };
        }
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

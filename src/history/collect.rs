//! Answers, put together: each goes to its entities and steps, whatever the order they come in.
//!
//! In: elements of answers, with the piece that was asked. Out: a recording. Two series of one
//! feature that never have a value at one step are one entity's history; where both have one, there
//! is no telling which is right.

use std::collections::HashMap;

use ndarray::Array2;

use super::answer::Element;
use super::error::HistoryError;
use super::exclude::Excluded;
use super::grid::{Grid, Piece};
use super::recording::{Counts, EntityRecording, Recording};
use crate::duration::Duration;
use crate::features::{FeatureSpec, Missing};
use crate::labels::Labels;
use crate::timestamp;

/// Answers, put together.
pub(super) struct Collected<'a> {
    features: &'a [FeatureSpec],
    entity: &'a [String],
    grid: &'a Grid,
    max_values: usize,
    /// Where the values of an entity are.
    places: HashMap<Labels, usize>,
    entities: Vec<EntityRecording>,
    /// For each feature, the values that go to every entity; empty when there are none.
    common: Vec<Vec<f32>>,
    own: Vec<bool>,
    counts: Counts,
    excluded: Excluded,
}

impl<'a> Collected<'a> {
    /// Nothing yet.
    ///
    /// # Errors
    /// When not even one entity would fit.
    pub fn new(
        features: &'a [FeatureSpec],
        entity: &'a [String],
        grid: &'a Grid,
        max_values: usize,
    ) -> Result<Self, HistoryError> {
        let collected = Self {
            features,
            entity,
            grid,
            max_values,
            places: HashMap::new(),
            entities: Vec::new(),
            common: vec![Vec::new(); features.len()],
            own: vec![false; features.len()],
            counts: Counts::none(features.len()),
            excluded: Excluded::default(),
        };
        collected.must_fit(1).map(|()| collected)
    }

    /// Takes an element of the answer for a feature.
    pub fn add(
        &mut self,
        feature: usize,
        piece: Piece,
        element: &Element<'_>,
    ) -> Result<(), HistoryError> {
        let spec = &self.features[feature];
        let twice = |labels: String| HistoryError::Twice {
            feature: spec.name.clone(),
            entity: labels,
            expr: spec.expr.clone(),
        };
        let step_ms = self.grid.step_ms();
        let values = element.values().filter_map(|(time_ms, value)| {
            piece.step_at(time_ms, step_ms).map(|step| (step, value as f32))
        });
        let labels = element.labels.without_metric_name();
        let infinite = &mut self.counts.infinite[feature];
        if labels.is_empty() {
            let common = &mut self.common[feature];
            common.resize(self.grid.len(), f32::NAN);
            for (step, value) in values {
                put(&mut common[step], value, infinite).map_err(|()| twice("{}".to_owned()))?;
            }
            return Ok(());
        }
        let lacking: Vec<&str> = (self.entity.iter().map(String::as_str))
            .filter(|name| labels.get(name).is_empty())
            .collect();
        if !lacking.is_empty() {
            return Err(HistoryError::NoEntity {
                feature: spec.name.clone(),
                labels: labels.to_string(),
                lacking: lacking.join(", "),
                entity: self.entity.join(", "),
            });
        }
        let key = labels.filtered(|name| self.entity.iter().any(|it| it == name));
        let place = self.place(key)?;
        self.own[feature] = true;
        let EntityRecording { labels, values: cells, .. } = &mut self.entities[place];
        for (step, value) in values {
            let cell = &mut cells[[step, feature]];
            put(cell, value, &mut self.counts.infinite[feature])
                .map_err(|()| twice(labels.to_string()))?;
        }
        Ok(())
    }

    /// Takes note of a step at which the server refused a feature.
    pub fn leave_out(&mut self, feature: usize) {
        self.counts.failed[feature] += 1;
    }

    /// Takes an element of the answer for an expression that excludes steps.
    pub fn exclude(&mut self, piece: Piece, element: &Element<'_>) -> Result<(), HistoryError> {
        let step_ms = self.grid.step_ms();
        let steps = element.values().filter_map(|(time_ms, _)| piece.step_at(time_ms, step_ms));
        let all_steps = self.grid.len();
        self.excluded.add(&element.labels, self.entity, steps, all_steps, self.max_values)
    }

    fn place(&mut self, labels: Labels) -> Result<usize, HistoryError> {
        if let Some(place) = self.places.get(&labels) {
            return Ok(*place);
        }
        self.must_fit(self.entities.len() + 1)?;
        let place = self.entities.len();
        let shape = (self.grid.len(), self.features.len());
        let values = Array2::from_elem(shape, f32::NAN);
        self.entities.push(EntityRecording::new(labels.clone(), values));
        self.places.insert(labels, place);
        Ok(place)
    }

    fn must_fit(&self, entities: usize) -> Result<(), HistoryError> {
        let (steps, features) = (self.grid.len(), self.features.len());
        let values = entities.saturating_mul(steps).saturating_mul(features.max(1));
        match values > self.max_values {
            true => Err(HistoryError::TooMuch { entities, steps, features }),
            false => Ok(()),
        }
    }

    /// The recording, when every answer is there.
    ///
    /// # Errors
    /// When a feature has no value that its policy could do without, or no entity has any.
    pub fn finish(mut self) -> Result<Recording, HistoryError> {
        self.must_have_data()?;
        for (feature, common) in self.common.iter().enumerate() {
            for entity in &mut self.entities {
                for (cell, value) in entity.values.column_mut(feature).iter_mut().zip(common) {
                    if cell.is_nan() {
                        *cell = *value;
                    }
                }
            }
        }
        // The server's order may change from answer to answer; the same data makes the same file.
        self.entities.sort_by_cached_key(|it| it.labels.to_string());
        self.excluded.mark(&mut self.entities);
        let times_ms = self.grid.times_ms().collect();
        let recording = Recording::new(times_ms, self.grid.step_ms(), self.own, self.entities);
        Ok(Recording { counts: self.counts, ..recording })
    }

    fn must_have_data(&self) -> Result<(), HistoryError> {
        let empty: Vec<&str> = (self.features.iter().enumerate())
            .filter(|(i, spec)| {
                let fills = matches!(spec.missing, Missing::Fill(_));
                !self.own[*i] && self.common[*i].is_empty() && !fills
            })
            .map(|(_, spec)| spec.name.as_str())
            .collect();
        if !self.entities.is_empty() && empty.is_empty() {
            return Ok(());
        }
        let start_ms = self.grid.start_ms();
        Err(HistoryError::NoData {
            features: match empty.is_empty() {
                true => "every feature that tells entities apart".to_owned(),
                false => empty.join(", "),
            },
            from: timestamp::format_ms(start_ms),
            to: timestamp::format_ms(self.grid.end_ms().unwrap_or(start_ms)),
            steps: self.grid.len(),
            step: Duration::from_ms(self.grid.step_ms()).to_string(),
        })
    }
}

/// Puts a value where none may be yet. What is not finite is missing.
fn put(cell: &mut f32, value: f32, infinite: &mut usize) -> Result<(), ()> {
    if !value.is_finite() {
        *infinite += usize::from(value.is_infinite());
        return Ok(());
    }
    if cell.is_finite() {
        return Err(());
    }
    *cell = value;
    Ok(())
}

//! Answers, put together: each goes to its entities and steps, whatever the order they come in.
//!
//! In: elements of answers, with the piece that was asked. Out: a recording, and counts of what is not in
//! it. Two series of one feature that never have a value at the same step are one entity's history; where
//! both have one, neither counts, as nothing tells which is right. A series without the entity labels is
//! left out, unless the expression can only have such: then every entity has its values. A fault of one
//! entity or step stays with it, as in serving. Where there is room for some entities only, the others are
//! left out as they come, and counted.

use std::collections::{BTreeSet, HashMap};

use ndarray::Array2;

use super::exclude::Excluded;
use super::sample::{Met, Sample};
use crate::duration::Duration;
use crate::features::{Counts, EntityRecording, FeatureSpec, Missing, Recording, Sightings};
use crate::history::error::HistoryError;
use crate::history::marks::Incident;
use crate::history::question::grid::{Grid, Piece};
use crate::history::server::answer::Element;
use crate::labels::Labels;
use crate::promql::Expr;
use crate::timestamp;

/// Answers, put together.
pub(super) struct Collected<'a> {
    features: &'a [FeatureSpec],
    entity: &'a [String],
    grid: &'a Grid,
    max_values: usize,
    /// Who is kept, where there may be too many.
    sample: Option<Sample>,
    /// Where the values of an entity are.
    places: HashMap<Labels, usize>,
    entities: Vec<EntityRecording>,
    /// For each of them its infinite values by feature, of those that have any.
    infinite: HashMap<(usize, usize), usize>,
    /// For each feature that every entity has the same values of, a recording of it alone.
    common: Vec<Option<EntityRecording>>,
    seen: Vec<Seen>,
    counts: Counts,
    excluded: Excluded,
    /// The instants at which it is asked when samples were taken.
    instants: Option<&'a Grid>,
    /// Whether that was told of any entity.
    has_sightings: bool,
}

/// What came of one feature besides values.
#[derive(Default)]
struct Seen {
    /// Whether any series was an entity's.
    is_placed: bool,
    /// The labels of a series that was nobody's.
    unplaced: Option<Labels>,
    /// An entity that two series claimed at one step.
    twice: Option<Labels>,
    /// Steps that the server refused, of whatever entities.
    failed: BTreeSet<usize>,
}

impl<'a> Collected<'a> {
    /// Nothing yet.
    ///
    /// # Errors
    /// When not even one entity would fit.
    pub fn new(
        features: &'a [FeatureSpec],
        entity: &'a [String],
        (grid, instants): (&'a Grid, Option<&'a Grid>),
        max_values: usize,
        sample: Option<Sample>,
    ) -> Result<Self, HistoryError> {
        let mut collected = Self {
            features,
            entity,
            grid,
            max_values,
            sample,
            places: HashMap::new(),
            entities: Vec::new(),
            infinite: HashMap::new(),
            common: Vec::new(),
            seen: features.iter().map(|_| Seen::default()).collect(),
            counts: Counts::none(features.len()),
            excluded: Excluded::default(),
            instants,
            has_sightings: false,
        };
        collected.must_fit(1)?;
        let alone = || nothing_of(Labels::empty(), grid.len(), 1);
        collected.common = features.iter().map(|it| is_common(it).then(alone)).collect();
        Ok(collected)
    }

    /// Takes an element of the answer for a feature.
    ///
    /// # Errors
    /// When its entity is one too many.
    pub fn add(
        &mut self,
        feature: usize,
        piece: Piece,
        element: &Element<'_>,
    ) -> Result<(), HistoryError> {
        let step_ms = self.grid.step_ms();
        let values = element.values().filter_map(|(time_ms, value)| {
            piece.step_at(time_ms, step_ms).map(|step| (step, value as f32))
        });
        let labels = element.labels.without_metric_name();
        let seen = &mut self.seen[feature];
        let counted;
        let (recording, column) = if let Some(common) = &mut self.common[feature] {
            counted = &mut self.counts.infinite[feature];
            (common, 0)
        } else if self.entity.iter().any(|name| labels.get(name).is_empty()) {
            self.counts.unplaced[feature] += values.count();
            seen.unplaced.get_or_insert(labels);
            return Ok(());
        } else {
            seen.is_placed = true;
            let key = self.entity_labels(&labels);
            let Some(place) = self.place(key)? else { return Ok(()) };
            counted = self.infinite.entry((place, feature)).or_default();
            (&mut self.entities[place], feature)
        };
        for (step, value) in values {
            if !value.is_finite() {
                *counted += usize::from(value.is_infinite());
            } else if recording.put(step, column, value) {
                self.seen[feature].twice.get_or_insert_with(|| recording.labels.clone());
            }
        }
        Ok(())
    }

    /// Takes note that an entity is there, of which nothing else is known yet.
    pub fn meet(&mut self, element: &Element<'_>) {
        let labels = self.entity_labels(&element.labels);
        let sample = self.sample.as_mut().filter(|_| labels.len() == self.entity.len());
        if let Some(sample) = sample {
            sample.meet(&labels);
        }
    }

    /// Those that are asked for from now on, where there are others, who are not.
    pub fn close(&mut self) -> Option<&Sample> {
        let sample = self.sample.as_mut()?;
        sample.close().then_some(&*sample)
    }

    /// Takes note of a step at which the server refused a feature.
    pub fn leave_out(&mut self, feature: usize, step: usize) {
        self.seen[feature].failed.insert(step);
    }

    /// Takes an element of the answer for the times of samples, in seconds since 1970.
    ///
    /// # Errors
    /// When its entity is one too many.
    pub fn see(&mut self, piece: Piece, element: &Element<'_>) -> Result<(), HistoryError> {
        let labels = self.entity_labels(&element.labels);
        let Some(grid) = self.instants.filter(|_| labels.len() == self.entity.len()) else {
            return Ok(());
        };
        self.has_sightings = true;
        let Some(place) = self.place(labels)? else { return Ok(()) };
        let newest_ms = &mut self.entities[place].newest_ms;
        newest_ms.resize(grid.len(), i64::MIN);
        for (time_ms, seconds) in element.values() {
            if let Some(at) = piece.step_at(time_ms, grid.step_ms()) {
                newest_ms[at] = (seconds * 1_000.0).round() as i64;
            }
        }
        Ok(())
    }

    /// Takes an element of the answer for an expression that excludes steps.
    pub fn exclude(
        &mut self,
        query: &str,
        piece: Piece,
        element: &Element<'_>,
    ) -> Result<(), HistoryError> {
        let labels = self.entity_labels(&element.labels);
        if self.sample.as_ref().is_some_and(|it| !it.concerns(&labels)) {
            self.excluded.note_other(query);
            return Ok(());
        }
        self.excluded.note(query, &labels, &element.labels);
        let step_ms = self.grid.step_ms();
        let steps = element.values().filter_map(|(time_ms, _)| piece.step_at(time_ms, step_ms));
        self.excluded.add(labels, steps, self.grid.len(), self.max_values)
    }

    /// Those of the labels that name an entity, as far as they are there.
    fn entity_labels(&self, labels: &Labels) -> Labels {
        labels.filtered(|name| self.entity.iter().any(|it| it == name))
    }

    /// The steps at which expressions had a result, as incidents.
    pub fn incidents(self) -> Vec<Incident> {
        self.excluded.incidents(&self.grid.times_ms().collect::<Vec<_>>(), self.grid.step_ms())
    }

    /// Where the values of an entity go; nowhere if it is not in the sample.
    fn place(&mut self, labels: Labels) -> Result<Option<usize>, HistoryError> {
        if let Some(place) = self.places.get(&labels) {
            return Ok(Some(*place));
        }
        let left = match self.sample.as_mut().map(|it| it.meet(&labels)) {
            Some(Met::Other) => return Ok(None),
            Some(Met::Instead(other)) => self.places.remove(&other),
            Some(Met::Kept) | None => None,
        };
        let place = left.unwrap_or(self.entities.len());
        self.must_fit(self.entities.len().max(place + 1))?;
        let entity = nothing_of(labels.clone(), self.grid.len(), self.features.len());
        if left.is_some() {
            self.entities[place] = entity;
            self.infinite.retain(|(of, _), _| *of != place);
        } else {
            self.entities.push(entity);
        }
        self.places.insert(labels, place);
        Ok(Some(place))
    }

    fn must_fit(&self, entities: usize) -> Result<(), HistoryError> {
        let (steps, features) = (self.grid.len(), self.features.len());
        // A time is as large as two values.
        let instants = self.instants.map_or(0, |grid| 2 * grid.len());
        let values = steps.saturating_mul(features.max(1)).saturating_add(instants);
        let values = entities.saturating_mul(values);
        match values > self.max_values {
            true => Err(HistoryError::TooMuch { entities, steps, features }),
            false => Ok(()),
        }
    }

    /// The recording, when every answer is there.
    ///
    /// # Errors
    /// When no series of a feature is an entity's, or no entity has any value.
    pub fn finish(mut self) -> Result<Recording, HistoryError> {
        self.must_be_placed()?;
        self.must_have_data()?;
        self.count();
        self.tell();
        let own: Vec<bool> = self.common.iter().map(Option::is_none).collect();
        // What everyone has.
        for (feature, common) in self.common.iter().enumerate() {
            let Some(common) = common else { continue };
            let ambiguous = (0..self.grid.len()).filter(|step| common.is_ambiguous(*step, 0));
            for entity in &mut self.entities {
                entity.values.column_mut(feature).assign(&common.values.column(0));
                ambiguous.clone().for_each(|step| entity.spoil(step, feature));
            }
        }
        // The server's order may change from answer to answer; the same data makes the same file.
        self.entities.sort_by_cached_key(|it| it.labels.to_string());
        self.excluded.mark(&mut self.entities);
        self.excluded.tell(&self.entities);
        let times_ms = self.grid.times_ms().collect();
        let mut recording = Recording::new(times_ms, self.grid.step_ms(), own, self.entities);
        for (feature, seen) in self.seen.iter().enumerate() {
            seen.failed.iter().for_each(|step| recording.refuse(*step, feature));
        }
        let sightings = self.instants.filter(|_| self.has_sightings).map(|grid| Sightings {
            instants_ms: grid.times_ms().collect(),
            resolution_ms: grid.step_ms(),
        });
        if sightings.is_none() {
            tracing::warn!(
                "the server does not say when samples were taken: late ones go unnoticed"
            );
        }
        let delay_ms = self.grid.delay_ms();
        Ok(Recording { counts: self.counts, delay_ms, sightings, ..recording })
    }

    /// Counts what is known of the entities that were kept in the end.
    fn count(&mut self) {
        let infinite = self.infinite.iter();
        infinite.for_each(|((_, feature), count)| self.counts.infinite[*feature] += count);
        let all = self.entities.iter().flat_map(|it| it.ambiguous.iter().enumerate());
        let common = self.common.iter().enumerate().filter_map(|(i, it)| Some((i, it.as_ref()?)));
        let common = common.flat_map(|(i, it)| it.ambiguous.iter().map(move |steps| (i, steps)));
        for (feature, steps) in all.chain(common) {
            self.counts.ambiguous[feature] += steps.iter().filter(|it| **it).count();
        }
        for (count, seen) in self.counts.failed.iter_mut().zip(&self.seen) {
            *count = seen.failed.len();
        }
        if let Some(sample) = &self.sample {
            self.counts.others = sample.others();
            sample.tell();
        }
    }

    /// An expression that has nothing but series of nobody is a mistake in it.
    fn must_be_placed(&self) -> Result<(), HistoryError> {
        for (spec, seen) in self.features.iter().zip(&self.seen) {
            if let (Some(labels), false) = (&seen.unplaced, seen.is_placed) {
                let names = self.entity.iter().map(String::as_str);
                let lacking: Vec<&str> = names.filter(|it| labels.get(it).is_empty()).collect();
                return Err(HistoryError::NoEntity {
                    feature: spec.name.clone(),
                    labels: labels.to_string(),
                    lacking: lacking.join(", "),
                    entity: self.entity.join(", "),
                });
            }
        }
        Ok(())
    }

    /// One feature that is an entity's own and has a value is enough.
    fn must_have_data(&self) -> Result<(), HistoryError> {
        let is_own = |feature: &usize| self.common[*feature].is_none();
        let own: Vec<usize> = (0..self.features.len()).filter(is_own).collect();
        if own.iter().any(|feature| self.has_value(*feature)) {
            return Ok(());
        }
        for feature in &own {
            let FeatureSpec { name, expr, .. } = &self.features[*feature];
            if let Some(labels) = &self.seen[*feature].twice {
                return Err(HistoryError::Twice {
                    feature: name.clone(),
                    entity: labels.to_string(),
                    expr: expr.clone(),
                });
            }
        }
        let names: Vec<&str> = own.iter().map(|it| self.features[*it].name.as_str()).collect();
        let start_ms = self.grid.start_ms();
        Err(HistoryError::NoData {
            features: match names.is_empty() {
                true => "every feature that tells entities apart".to_owned(),
                false => names.join(", "),
            },
            from: timestamp::format_ms(start_ms),
            to: timestamp::format_ms(self.grid.end_ms().unwrap_or(start_ms)),
            steps: self.grid.len(),
            step: Duration::from_ms(self.grid.step_ms()).to_string(),
        })
    }

    fn has_value(&self, feature: usize) -> bool {
        let is_there = |it: &EntityRecording, column: usize| {
            it.values.column(column).iter().any(|value| value.is_finite())
        };
        match &self.common[feature] {
            Some(common) => is_there(common, 0),
            None => self.entities.iter().any(|it| is_there(it, feature)),
        }
    }

    /// Says in the log what is missing of which feature, and what may be done about it.
    fn tell(&self) {
        let fills = |feature: usize| matches!(self.features[feature].missing, Missing::Fill(_));
        let name = |feature: usize| self.features[feature].name.as_str();
        let without = (0..self.features.len()).filter(|it| !fills(*it) && !self.has_value(*it));
        let without = without.map(name).collect::<Vec<_>>().join(", ");
        if !without.is_empty() {
            tracing::warn!(features = without, "some features never have a value for any entity");
        }
        let counted = |counts: &[usize]| {
            let some = counts.iter().enumerate().filter(|(_, count)| **count > 0);
            let texts = some.map(|(feature, count)| format!("{} ({count})", name(feature)));
            texts.collect::<Vec<_>>().join(", ")
        };
        if let Some(entity) = self.seen.iter().find_map(|it| it.twice.as_ref()) {
            let features = counted(&self.counts.ambiguous);
            tracing::warn!(
                features,
                %entity,
                "two series for one entity at one step: such values are left out; aggregate them, as \
                 in `sum by (...) (...)`"
            );
        }
        if let Some(labels) = self.seen.iter().find_map(|it| it.unplaced.as_ref()) {
            let features = counted(&self.counts.unplaced);
            tracing::warn!(features, %labels, "series without the entity labels are left out");
        }
    }
}

/// Whether a feature's expression can never give a series with labels: everyone has its value. What
/// does not parse here, as a server may know more than PromQL, is taken for the entities' own.
fn is_common(feature: &FeatureSpec) -> bool {
    let labels = Expr::parse(&feature.expr).ok().and_then(|it| it.output_labels());
    labels.is_some_and(|it| it.is_empty())
}

fn nothing_of(labels: Labels, steps: usize, features: usize) -> EntityRecording {
    EntityRecording::new(labels, Array2::from_elem((steps, features), f32::NAN))
}

//! A state file's messages, made of plain data and turned back into it.
//!
//! Invariant: what is turned back keeps the rules of its types (label sets, counts); bits are kept.

use std::sync::Arc;

use super::histograms;
use super::unfit::Unfit;
use crate::detect::alert::{Alert, AlertMemory};
use crate::detect::{
    AlertsMemory, EntityMemory, HoursMemory, LevelMemory, MeanMemory, MemoryPage, ModelKey,
    RunMemory,
};
use crate::features::{CellMemory, WindowMemory};
use crate::labels::Labels;
use crate::proto::state as proto;
use crate::proto::state::record::Kind;
use crate::sample::{Batch, BatchSeries, Sample};

/// Histograms of so many bytes in memory are in one message: a part of what fits into a record.
const HISTOGRAMS_BYTES: usize = 1 << 20;

/// The page that a record holds; `None` for a record that is none.
pub(super) fn page(of: Kind) -> Result<Option<MemoryPage>, Unfit> {
    Ok(Some(match of {
        Kind::Entities(proto::Entities { model, alerts: Some(of), .. }) => {
            MemoryPage::Alerts(AlertsMemory {
                key: model_key(&model)?,
                model: of.model,
                evaluated_ms: of.evaluated_ms,
                alerts: of.alerts.into_iter().map(alert_memory).collect::<Result<_, _>>()?,
            })
        }
        Kind::Entities(of) => MemoryPage::Entities {
            model: model_key(&of.model)?,
            entities: of.entities.into_iter().map(memory).collect::<Result<_, _>>()?,
        },
        Kind::Series(of) => MemoryPage::Series(Batch::of(
            of.series.into_iter().map(batch_series).collect::<Result<_, _>>()?,
        )),
        Kind::Header(_) | Kind::End(_) => return Ok(None),
    }))
}

fn model_key(bytes: &[u8]) -> Result<ModelKey, Unfit> {
    Ok(ModelKey(<[u8; 32]>::try_from(bytes).map_err(|_| Unfit::Key(bytes.len()))?))
}

/// The message of an alert.
pub(super) fn alert(of: &AlertMemory) -> proto::Alert {
    let AlertMemory { rule, entity, alert } = of;
    proto::Alert {
        rule: rule.clone(),
        entity: entity.as_ref().map(|it| proto::LabelSet { labels: labels(it) }),
        active_since_ms: alert.active_since_ms,
        fired_ms: alert.fired_ms,
        keep_firing_since_ms: alert.keep_firing_since_ms,
        unscored_since_ms: alert.unscored_since_ms,
        scored_ms: alert.scored_ms,
        value: alert.value.to_bits(),
    }
}

fn alert_memory(of: proto::Alert) -> Result<AlertMemory, Unfit> {
    Ok(AlertMemory {
        rule: of.rule,
        entity: of.entity.map(|it| label_set(&it.labels)).transpose()?,
        alert: Alert {
            active_since_ms: of.active_since_ms,
            fired_ms: of.fired_ms,
            keep_firing_since_ms: of.keep_firing_since_ms,
            unscored_since_ms: of.unscored_since_ms,
            scored_ms: of.scored_ms,
            value: f64::from_bits(of.value),
        },
    })
}

/// The message of an entity.
pub(super) fn entity(of: &EntityMemory) -> proto::Entity {
    proto::Entity {
        labels: labels(&of.entity),
        left_ms: of.left_ms,
        is_away: of.is_away,
        cells: of.cells.iter().map(cell).collect(),
        window: Some(proto::Window { last_ms: of.window.last_ms, rows: of.window.rows.clone() }),
        level: of.level.iter().map(level).collect(),
        smoothing: of.smoothing.iter().map(mean).collect(),
        errors: of.errors,
        hours: of.hours.as_ref().map(|it| proto::Hours {
            hour: it.hour,
            since: it.since,
            largest: it.largest.clone(),
        }),
        still: of
            .still
            .iter()
            .map(|it| proto::Run { last: it.last.to_bits(), run: it.run })
            .collect(),
        scored_ms: of.scored_ms,
    }
}

/// The messages of a series: one, unless it has many native histograms.
pub(super) fn series(of: &BatchSeries) -> Vec<proto::Series> {
    let mut bytes = 0;
    let mut parts = vec![proto::Series {
        labels: labels(&of.labels),
        replica: of.replica.as_deref().map(str::to_owned),
        times: Distances::default().taken(of.samples.iter().map(|it| it.timestamp_ms)),
        values: of.samples.iter().map(|it| it.value.to_bits()).collect(),
        histograms: Vec::new(),
    }];
    for histogram in &of.histograms {
        bytes += histogram.heap_bytes();
        if bytes > HISTOGRAMS_BYTES {
            bytes = histogram.heap_bytes();
            let first = &parts[0];
            let (labels, replica) = (first.labels.clone(), first.replica.clone());
            parts.push(proto::Series { labels, replica, ..proto::Series::default() });
        }
        let last = parts.len() - 1;
        parts[last].histograms.push(histograms::histogram(histogram));
    }
    parts
}

fn memory(of: proto::Entity) -> Result<EntityMemory, Unfit> {
    let window = of.window.unwrap_or_default();
    Ok(EntityMemory {
        entity: label_set(&of.labels)?,
        left_ms: of.left_ms,
        is_away: of.is_away,
        cells: of.cells.iter().map(cell_memory).collect::<Result<_, _>>()?,
        window: WindowMemory { last_ms: window.last_ms, rows: window.rows },
        level: of.level.iter().map(level_memory).collect(),
        smoothing: of.smoothing.into_iter().map(mean_memory).collect(),
        errors: of.errors,
        hours: of.hours.map(|it| HoursMemory {
            hour: it.hour,
            since: it.since,
            largest: it.largest,
        }),
        still: of
            .still
            .iter()
            .map(|it| RunMemory { last: f32::from_bits(it.last), run: it.run })
            .collect(),
        scored_ms: of.scored_ms,
    })
}

fn batch_series(of: proto::Series) -> Result<BatchSeries, Unfit> {
    if of.times.len() != of.values.len() {
        return Err(Unfit::Samples { times: of.times.len(), values: of.values.len() });
    }
    let mut times = Distances::default();
    let sample =
        |(&time, &value): (&i64, &u64)| Sample::new(times.put(time), f64::from_bits(value));
    Ok(BatchSeries {
        labels: label_set(&of.labels)?,
        replica: of.replica.map(Arc::from),
        samples: of.times.iter().zip(&of.values).map(sample).collect(),
        histograms: of
            .histograms
            .into_iter()
            .map(histograms::histogram_sample)
            .collect::<Result<_, _>>()?,
        exemplars: Vec::new(),
    })
}

fn labels(of: &Labels) -> Vec<proto::Label> {
    of.iter()
        .map(|(name, value)| proto::Label { name: name.to_owned(), value: value.to_owned() })
        .collect()
}

fn label_set(of: &[proto::Label]) -> Result<Labels, Unfit> {
    if of.iter().any(|it| it.name.is_empty()) {
        return Err(Unfit::Nameless);
    }
    Ok(Labels::from_pairs(of.iter().map(|it| (&it.name, &it.value)))?)
}

fn cell(of: &CellMemory) -> proto::Cell {
    proto::Cell {
        held: of.held.map(|(time_ms, value)| proto::Held { time_ms, value: value.to_bits() }),
        had: of.had.into(),
        lacked: of.lacked.into(),
    }
}

fn cell_memory(of: &proto::Cell) -> Result<CellMemory, Unfit> {
    let count = |of: u32| u8::try_from(of).map_err(|_| Unfit::Count(of));
    Ok(CellMemory {
        held: of.held.as_ref().map(|it| (it.time_ms, f64::from_bits(it.value))),
        had: count(of.had)?,
        lacked: count(of.lacked)?,
    })
}

fn level(of: &LevelMemory) -> proto::Level {
    proto::Level {
        mean: of.mean.to_bits(),
        variance: of.variance.to_bits(),
        weight: of.weight.to_bits(),
    }
}

fn level_memory(of: &proto::Level) -> LevelMemory {
    LevelMemory {
        mean: f64::from_bits(of.mean),
        variance: f64::from_bits(of.variance),
        weight: f64::from_bits(of.weight),
    }
}

fn mean(of: &MeanMemory) -> proto::Mean {
    proto::Mean { last_ms: of.last_ms, weight: of.weight.to_bits(), means: of.means.clone() }
}

fn mean_memory(of: proto::Mean) -> MeanMemory {
    MeanMemory { last_ms: of.last_ms, weight: f32::from_bits(of.weight), means: of.means }
}

/// Where in a row of times one is: each is told by how much its distance to the one before differs from
/// the distance before. Times may be any, in any order, so the arithmetic wraps.
#[derive(Default)]
struct Distances {
    last: Option<i64>,
    distance: i64,
}

impl Distances {
    fn taken(mut self, times: impl Iterator<Item = i64>) -> Vec<i64> {
        times.map(|time| self.take(time)).collect()
    }

    /// What tells this time.
    fn take(&mut self, time: i64) -> i64 {
        let Some(last) = self.last.replace(time) else { return time };
        let distance = time.wrapping_sub(last);
        distance.wrapping_sub(std::mem::replace(&mut self.distance, distance))
    }

    /// The time that this tells.
    fn put(&mut self, told: i64) -> i64 {
        let time = match self.last {
            None => told,
            Some(last) => {
                self.distance = self.distance.wrapping_add(told);
                last.wrapping_add(self.distance)
            }
        };
        self.last = Some(time);
        time
    }
}

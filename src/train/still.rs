//! Standing still: which features hardly ever stand still, and how long nearly all of these do so at once.
//!
//! In: a dataset. Out: what the model's file says of it, from which the detector finds entities that stand
//! still for longer (`crate::detect`), with the usual time of each entity; nothing if too few features
//! move.
//!
//! The usual time of an entity is its longest common run in six hours, without the twentieth of these runs
//! that is longest: history may hold some hours of a dead exporter, which are not usual. Runs are
//! counted by the code that serves. Moments that were left out do not count.

use super::data::{Dataset, Rows};
use super::threshold::BLOCK_MS;
use crate::detect::Runs;
use crate::features::FeatureSpec;
use crate::model::StillSpec;

/// A feature that is what it was at the step before at more of all steps takes no part.
const MOST_STILL: f64 = 0.5;

/// The share of an entity's blocks whose runs may be longer than usual.
const LONGER: f64 = 0.05;

/// With fewer blocks an entity has not said what is usual: a day.
const LEAST_BLOCKS: usize = 4;

/// What is usual of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Still {
    /// For the model's file.
    pub spec: Option<StillSpec>,
    /// What is usual of each entity, in the order of the dataset, in steps.
    pub own: Vec<Option<u32>>,
}

/// Learns what is usual of features, but for those without weight: constants and clocks.
pub fn learn(dataset: &Dataset, features: &[FeatureSpec], weightless: &[String]) -> Still {
    let weighs = |i: &usize| !weightless.contains(&features[*i].name);
    let candidates: Vec<usize> = (0..features.len()).filter(weighs).collect();
    let mut counts = vec![(0_usize, 0_usize); candidates.len()];
    for rows in &dataset.entities {
        walk(rows, &candidates, |_, runs| {
            for (i, (still, all)) in counts.iter_mut().enumerate() {
                let run = runs.run(i);
                *still += usize::from(run.is_some_and(|it| it > 0));
                *all += usize::from(run.is_some());
            }
        });
    }
    let moves = |(still, all): &(usize, usize)| (*still as f64) < MOST_STILL * *all as f64;
    let moving: Vec<usize> =
        candidates.iter().zip(&counts).filter(|it| moves(it.1)).map(|it| *it.0).collect();
    if moving.len() < StillSpec::LEAST_FEATURES {
        return Still::default();
    }
    let longest: Vec<Vec<u32>> =
        dataset.entities.iter().map(|rows| longest(dataset, rows, &moving)).collect();
    let usual: Vec<Option<u32>> = longest.iter().map(|blocks| usual(blocks.clone())).collect();
    let is_long = |blocks: &Vec<u32>| blocks.len() >= LEAST_BLOCKS;
    if !longest.iter().any(is_long) {
        return Still::default();
    }
    Still {
        spec: Some(StillSpec {
            features: moving.iter().map(|it| features[*it].name.clone()).collect(),
            usual: usual.iter().flatten().copied().max().unwrap_or(0),
        }),
        own: usual.iter().zip(&longest).map(|it| it.0.filter(|_| is_long(it.1))).collect(),
    }
}

/// Visits the steps of an entity that are learnt from, with how long features have stood still then.
fn walk(rows: &Rows, features: &[usize], mut visit: impl FnMut(usize, &Runs)) {
    let mut runs = Runs::new(features.len());
    for step in (0..rows.usable.len()).filter(|step| rows.usable[*step]) {
        runs.push(|i| {
            let is_own = rows.own.contains(step, features[i]);
            is_own.then(|| rows.values[[step, features[i]]])
        });
        if rows.is_learnt(step) {
            visit(step, &runs);
        }
    }
}

/// The longest common run of each block of an entity.
fn longest(dataset: &Dataset, rows: &Rows, features: &[usize]) -> Vec<u32> {
    let mut blocks: Vec<(i64, u32)> = Vec::new();
    walk(rows, features, |step, runs| {
        let Some(run) = runs.common() else { return };
        let block = dataset.times_ms[step].div_euclid(BLOCK_MS);
        match blocks.last_mut() {
            Some((last, most)) if *last == block => *most = run.max(*most),
            _ => blocks.push((block, run)),
        }
    });
    blocks.into_iter().map(|(_, run)| run).collect()
}

/// What is usual of blocks with these longest runs.
fn usual(mut blocks: Vec<u32>) -> Option<u32> {
    blocks.sort_unstable_by(|a, b| b.cmp(a));
    blocks.get((LONGER * blocks.len() as f64) as usize).copied()
}

#[cfg(test)]
mod tests;

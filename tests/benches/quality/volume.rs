//! A volume: the area below precision and recall, averaged over windows in which the samples around an
//! event count in part.
//!
//! In: scores and labels of one entity, the widest window. Out: one figure, VUS-PR, by which other
//! detectors are compared. For each window `w` of 0 to the widest, the samples up to `w / 2` steps away
//! from an event earn `sqrt(1 - distance / w)` of a hit, and the recall is multiplied by the share of
//! the events (with their surroundings; those that overlap are one) that are touched. A label that is
//! a few minutes off, or a score that rises early, costs little. A score that is missing or infinite is
//! the lowest of all.
//!
//! Source: Paparrizos et al., "Volume Under the Surface", VLDB 2022, in the faster form its authors
//! published later (250 thresholds, evenly spread over the ranking). `tests/integration/volume.rs` compares it with
//! Python.

use portent::episodes::{Run, Timeline};

/// How far around an event a score may rise and still earn a share of it, in milliseconds, both sides
/// together: 100 samples of a minute, the default of the authors' own evaluation.
const WIDEST_MS: i64 = 100 * 60_000;

/// Windows that are averaged, at most, beside that of no width: all of them for steps of 15 s and more. For
/// shorter steps, of which there are many more in the same minutes, as many are spread over them evenly.
const WINDOWS: usize = 400;

/// Thresholds, as the authors have it: enough that more change nothing that is printed.
const THRESHOLDS: usize = 250;

/// What does not depend on the window.
struct Cuts<'a> {
    scores: &'a [f64],
    labels: &'a [bool],
    events: &'a [Run],
    anomalous: f64,
    /// The scores at which the ranking is cut, descending.
    thresholds: Vec<f64>,
    /// Samples at or above each threshold.
    predicted: Vec<f64>,
    /// Anomalous ones of them.
    hits: Vec<f64>,
    /// The first threshold that each sample reaches.
    first_cut: Vec<usize>,
}

/// The widest window for samples of this distance, in steps: the same minutes for all.
pub fn widest(step_ms: i64) -> usize {
    usize::try_from(WIDEST_MS / step_ms.max(1)).unwrap_or(0).max(1)
}

/// The volume; nothing unless there are anomalous and normal samples.
///
/// # Shapes
/// One label and one score for each sample of the line. The work grows with the widest window in
/// steps, and not with its square.
pub fn vus_pr(line: Timeline<'_>, scores: &[f64], labels: &[bool], widest: usize) -> Option<f64> {
    let is_there = |kind: bool| labels.contains(&kind);
    if !(is_there(true) && is_there(false)) {
        return None;
    }
    let finite = || scores.iter().copied().filter(|score| score.is_finite());
    let lowest = finite().reduce(f64::min).unwrap_or(0.0);
    let known = scores.iter().map(|score| if score.is_finite() { *score } else { lowest });
    let (scores, events): (Vec<f64>, _) = (known.collect(), line.runs(|i| labels[i]));
    let cuts = Cuts::new(&scores, labels, &events);
    let mut credit = vec![0.0; scores.len()];
    let most = widest.min(WINDOWS);
    let windows = (0..=most).map(|place| match most {
        0 => 0,
        most => (place as u128 * widest as u128 / most as u128) as usize,
    });
    let areas = windows.map(|window| cuts.area(window, &mut credit));
    Some(areas.sum::<f64>() / (most as f64 + 1.0))
}

impl<'a> Cuts<'a> {
    fn new(scores: &'a [f64], labels: &'a [bool], events: &'a [Run]) -> Self {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        // Finite scores compare; 0 and -0 are equal, as `total_cmp` would not have them.
        order.sort_by(|a, b| scores[*b].partial_cmp(&scores[*a]).expect("finite scores"));
        let spacing = (scores.len() - 1) as f64 / (THRESHOLDS - 1) as f64;
        // The last one is the lowest score, whatever is lost in the product.
        let position = |cut: usize| match cut + 1 < THRESHOLDS {
            true => (cut as f64 * spacing) as usize,
            false => scores.len() - 1,
        };
        let thresholds: Vec<f64> =
            (0..THRESHOLDS).map(|cut| scores[order[position(cut)]]).collect();
        let mut first_cut = vec![0; scores.len()];
        let (mut predicted, mut hits) = (Vec::new(), Vec::new());
        let (mut reached, mut hit) = (0, 0);
        for (cut, threshold) in thresholds.iter().enumerate() {
            while reached < order.len() && scores[order[reached]] >= *threshold {
                first_cut[order[reached]] = cut;
                hit += usize::from(labels[order[reached]]);
                reached += 1;
            }
            predicted.push(reached as f64);
            hits.push(hit as f64);
        }
        let anomalous = hit as f64;
        Self { scores, labels, events, anomalous, thresholds, predicted, hits, first_cut }
    }

    /// The area for one window. `credit` is room for a number for each sample, all 0 before and
    /// after.
    fn area(&self, window: usize, credit: &mut [f64]) -> f64 {
        let gained = self.gained(window, credit);
        let touched = self.touched(window / 2);
        let (mut area, mut recall_before, mut extra) = (0.0, 0.0, 0.0);
        for cut in 0..THRESHOLDS {
            extra += gained[cut];
            let hits = self.hits[cut] + extra;
            // The mean of the labels as they are and with what the surroundings have earned.
            let anomalous = (self.anomalous + self.anomalous + extra) / 2.0;
            let recall = (hits / anomalous).min(1.0) * touched[cut];
            area += (recall - recall_before) * (hits / self.predicted[cut]);
            recall_before = recall;
        }
        area
    }

    /// What the samples around events earn, summed by the first threshold that they reach.
    fn gained(&self, window: usize, credit: &mut [f64]) -> Vec<f64> {
        let mut near = Vec::new();
        let mut earn = |i: usize, distance: usize| {
            if !self.labels[i] {
                if credit[i] == 0.0 {
                    near.push(i);
                }
                credit[i] += (1.0 - distance as f64 / window as f64).sqrt();
            }
        };
        for event in self.events {
            let after = (event.last + 1).min(self.scores.len());
            let end = after.saturating_add(window / 2).min(self.scores.len());
            (after..end).for_each(|i| earn(i, i - event.last));
            let start = event.first.saturating_sub(window / 2);
            (start..event.first).for_each(|i| earn(i, event.first - i));
        }
        let mut gained = vec![0.0; THRESHOLDS];
        for i in near {
            gained[self.first_cut[i]] += credit[i].min(1.0);
            credit[i] = 0.0;
        }
        gained
    }

    /// The share of the surroundings of events that hold a sample at or above each threshold.
    fn touched(&self, half: usize) -> Vec<f64> {
        let last = self.scores.len() - 1;
        let reach = |event: &Run| Run {
            first: event.first.saturating_sub(half),
            last: event.last.saturating_add(half).min(last),
        };
        let mut zones: Vec<Run> = Vec::new();
        for event in self.events {
            let zone = reach(event);
            match zones.last_mut() {
                Some(before) if before.last >= zone.first => before.last = zone.last,
                _ => zones.push(zone),
            }
        }
        let highest = |zone: &Run| {
            let scores = &self.scores[zone.first..=zone.last];
            scores.iter().copied().fold(f64::NEG_INFINITY, f64::max)
        };
        let mut peaks: Vec<f64> = zones.iter().map(highest).collect();
        peaks.sort_unstable_by(f64::total_cmp);
        let share = |threshold: &f64| {
            let below = peaks.partition_point(|peak| peak < threshold);
            (peaks.len() - below) as f64 / peaks.len() as f64
        };
        self.thresholds.iter().map(share).collect()
    }
}

//! Alarms: what an operator would have seen at a threshold.
//!
//! In: which samples are above the threshold, and the truth. Out: [`Alarms`]. An event is a run of
//! samples labelled anomalous; it is found when the rule fires inside it (or in the tolerance after
//! it). An episode is a false alarm when it touches no event and no tolerance around one.

use super::Settings;
use crate::duration::DAY_MS;
use crate::episodes::{Run, Timeline, firing};
use crate::statistics;

/// The labels, and what is asked of them again and again.
pub(super) struct Truth<'a> {
    /// The times of the samples.
    pub line: Timeline<'a>,
    /// The events.
    pub events: Vec<Run>,
    /// Samples.
    pub count: usize,
    /// The time of all samples.
    pub days: f64,
    /// Anomalous samples before each sample, and of all.
    anomalous_before: Vec<usize>,
    /// Samples in or near an event before each sample, and of all.
    near_before: Vec<usize>,
}

impl<'a> Truth<'a> {
    pub fn new(times_ms: &'a [i64], labels: &[bool], settings: &Settings) -> Self {
        // Neighbouring samples are neighbours whatever the settings.
        let reach_ms = settings.reach_ms.max(settings.step_ms);
        let line = Timeline { times_ms, reach_ms };
        let events = line.runs(|i| labels[i]);
        let mut near = labels.to_vec();
        for event in &events {
            let end = event.last.saturating_add(settings.tolerance).min(labels.len() - 1);
            near[event.first.saturating_sub(settings.tolerance)..=end].fill(true);
        }
        Self {
            line,
            events,
            count: labels.len(),
            days: labels.len() as f64 * settings.step_ms as f64 / DAY_MS as f64,
            anomalous_before: counts_before(labels),
            near_before: counts_before(&near),
        }
    }

    /// Samples labelled anomalous.
    pub fn anomalous(&self) -> usize {
        self.anomalous_before[self.count]
    }

    /// Samples not labelled anomalous.
    pub fn normal(&self) -> usize {
        self.count - self.anomalous()
    }

    /// Anomalous ones of these samples.
    fn anomalous_in(&self, run: Run) -> usize {
        self.anomalous_before[run.last + 1] - self.anomalous_before[run.first]
    }

    /// Whether none of these samples is in or near an event.
    fn is_far(&self, run: Run) -> bool {
        self.near_before[run.last + 1] == self.near_before[run.first]
    }
}

fn counts_before(holds: &[bool]) -> Vec<usize> {
    let mut counts = Vec::with_capacity(holds.len() + 1);
    let mut count = 0;
    counts.push(count);
    counts.extend(holds.iter().map(|it| {
        count += usize::from(*it);
        count
    }));
    counts
}

/// What an operator would have seen at the threshold.
///
/// A figure is absent where nothing defines it: a delay when no event is found, a share of alarms
/// when there is none, a share of normal time when there is none.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Alarms {
    /// The lowest and the highest threshold. NaN thresholds, above which nothing is, are left out;
    /// absent when all are NaN.
    pub threshold_range: Option<[f64; 2]>,
    /// Events: runs of anomalous samples.
    pub events: usize,
    /// Events in which the rule fired.
    pub events_detected: usize,
    /// Their share, the detection rate; 0 without events.
    pub event_recall: f64,
    /// Alarms, those within the reach of one another counted once.
    pub alarm_episodes: usize,
    /// Episodes that touch no event.
    pub false_alarms: usize,
    /// The same by time.
    pub false_alarms_per_day: f64,
    /// The share of the episodes that touch an event.
    pub alarm_precision: Option<f64>,
    /// The share of the normal samples that lie inside an episode.
    pub normal_time_in_alarm: Option<f64>,
    /// The share of the normal samples above the threshold.
    pub false_positive_rate: Option<f64>,
    /// From the start of an event until the rule fires, the mean of the events found: the mean
    /// time to detect.
    pub delay_mean_seconds: Option<f64>,
    /// The same, the median.
    pub delay_median_seconds: Option<f64>,
    /// The same, the longest.
    pub delay_max_seconds: Option<f64>,
    /// The share of the samples above the threshold that are anomalous; 0 without any.
    pub precision: f64,
    /// The share of the anomalous samples that are above the threshold; 0 without any.
    pub recall: f64,
    /// The harmonic mean of the two, sample by sample.
    pub f1: f64,
}

/// What was seen, in steps.
pub(super) struct Seen {
    /// Found events' delays, in order of the events.
    pub delays: Vec<usize>,
    /// Alarm episodes.
    pub episodes: usize,
    /// Those that touch no event.
    pub false_alarms: usize,
    /// Normal samples inside an episode.
    pub normal_in_alarm: usize,
}

impl Seen {
    pub fn new(truth: &Truth<'_>, above: &[Run], settings: &Settings) -> Self {
        let firing = firing(above, settings.for_steps);
        let episodes = truth.line.merged(&firing);
        let delay = |event: &Run| {
            let run = firing.get(firing.partition_point(|run| run.last < event.first))?;
            let at = run.first.max(event.first);
            (at <= event.last.saturating_add(settings.tolerance)).then_some(at - event.first)
        };
        let normal = |run: &Run| run.len() - truth.anomalous_in(*run);
        Self {
            delays: truth.events.iter().filter_map(delay).collect(),
            episodes: episodes.len(),
            false_alarms: episodes.iter().filter(|run| truth.is_far(**run)).count(),
            normal_in_alarm: episodes.iter().map(normal).sum(),
        }
    }

    pub fn event_recall(&self, truth: &Truth<'_>) -> f64 {
        self.delays.len() as f64 / truth.events.len().max(1) as f64
    }

    pub fn false_alarms_per_day(&self, truth: &Truth<'_>) -> f64 {
        self.false_alarms as f64 / truth.days
    }
}

/// Figures at thresholds: one, or one for each sample. A score that is not finite never alarms.
pub(super) fn alarms(
    scores: &[f64],
    thresholds: &[f64],
    truth: &Truth<'_>,
    settings: &Settings,
) -> Alarms {
    let threshold = |i: usize| if thresholds.len() == 1 { thresholds[0] } else { thresholds[i] };
    let above = truth.line.runs(|i| scores[i].is_finite() && scores[i] > threshold(i));
    let seen = Seen::new(truth, &above, settings);
    let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
    let samples_above: usize = above.iter().map(|run| run.len()).sum();
    let hits: usize = above.iter().map(|run| truth.anomalous_in(*run)).sum();
    let precision = share(hits, samples_above).unwrap_or(0.0);
    let recall = share(hits, truth.anomalous()).unwrap_or(0.0);
    let both = precision + recall;
    let delays = &seen.delays;
    let seconds = |steps: f64| steps * settings.step_ms as f64 / 1_000.0;
    let mean = share(delays.iter().sum(), delays.len());
    let median = statistics::median(delays.iter().map(|steps| *steps as f64).collect());
    Alarms {
        threshold_range: range(thresholds),
        events: truth.events.len(),
        events_detected: delays.len(),
        event_recall: seen.event_recall(truth),
        alarm_episodes: seen.episodes,
        false_alarms: seen.false_alarms,
        false_alarms_per_day: seen.false_alarms_per_day(truth),
        alarm_precision: share(seen.episodes - seen.false_alarms, seen.episodes),
        normal_time_in_alarm: share(seen.normal_in_alarm, truth.normal()),
        false_positive_rate: share(samples_above - hits, truth.normal()),
        delay_mean_seconds: mean.map(seconds),
        delay_median_seconds: median.map(seconds),
        delay_max_seconds: delays.iter().max().map(|steps| seconds(*steps as f64)),
        precision,
        recall,
        f1: if both > 0.0 { 2.0 * precision * recall / both } else { 0.0 },
    }
}

fn range(thresholds: &[f64]) -> Option<[f64; 2]> {
    let known = thresholds.iter().copied().filter(|it| !it.is_nan());
    known.fold(None, |range: Option<[f64; 2]>, it| {
        Some(range.map_or([it, it], |[low, high]| [low.min(it), high.max(it)]))
    })
}

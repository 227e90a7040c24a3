//! A rate of native histograms: how fast the buckets of a range grow.
//!
//! In: histograms, oldest first. Out: the change as a histogram that is a gauge, extrapolated as floats are, but
//! a histogram is not kept from going below zero. Buckets are those of the coarsest histogram.
//!
//! Source: Prometheus 3.5 `promql/functions.go`, `extrapolatedRate`, `histogramRate`, `instantValue`.

use std::sync::Arc;

use crate::histogram::{CounterResetHint, IncompatibleHistograms, NativeHistogram};
use crate::sample::{HistogramSample, Sample};

use super::any_sample::{AnySample, in_order_of_time};
use super::range_outcome::{RangeNote, RangeOutcome};
use super::rate;
use super::window::Window;

/// What the change over the histograms is multiplied by, beside what extrapolation makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Per {
    Second,
    Range,
}

/// The change over the whole range. Two histograms are needed, and no float.
pub(super) fn extrapolated(
    floats: &[Sample],
    histograms: &[HistogramSample],
    window: &Window,
    is_counter: bool,
    per: Per,
) -> RangeOutcome {
    if !floats.is_empty() {
        return RangeOutcome::none(vec![RangeNote::MixedKinds]);
    }
    let [first, .., last] = histograms else {
        return RangeOutcome::none(Vec::new());
    };
    let (change, notes) = change(histograms, is_counter);
    let Some(mut change) = change else {
        return RangeOutcome::none(notes);
    };
    let (first_ms, last_ms) = (first.timestamp_ms, last.timestamp_ms);
    let mut factor =
        rate::extrapolation_factor(histograms.len(), first_ms, last_ms, window, |_| None);
    if per == Per::Second {
        factor /= window.range_ms as f64 / 1000.0;
    }
    change.multiply(factor);
    RangeOutcome { notes, ..RangeOutcome::histogram(&Arc::new(change)) }
}

/// How much was observed from the first histogram to the last.
fn change(
    histograms: &[HistogramSample],
    is_counter: bool,
) -> (Option<NativeHistogram>, Vec<RangeNote>) {
    let [first, second, ..] = histograms else {
        return (None, Vec::new());
    };
    let (first, second) = (&*first.histogram, &*second.histogram);
    let last = &*histograms[histograms.len() - 1].histogram;
    // After a reset nothing of the first one counts, and it may have had any layout.
    let began_anew = is_counter && second.detect_reset(first);
    let nothing = NativeHistogram {
        schema: second.schema,
        custom_values: if began_anew { second.custom_values.clone() } else { Vec::new() },
        ..NativeHistogram::default()
    };
    let start = if began_anew { &nothing } else { first };
    let mut notes = Vec::new();
    if is_counter && [first, last].iter().any(|it| is_gauge(it)) {
        notes.push(RangeNote::NotCounter);
    }
    if last.has_custom_buckets() != start.has_custom_buckets() {
        notes.push(RangeNote::MixedSchemas);
        return (None, notes);
    }
    let mut schema = start.schema.min(last.schema);
    if is_counter {
        for between in &histograms[1..histograms.len() - 1] {
            let between = &*between.histogram;
            if between.has_custom_buckets() != start.has_custom_buckets() {
                return (None, vec![RangeNote::MixedSchemas]);
            }
            if is_gauge(between) && notes.is_empty() {
                notes.push(RangeNote::NotCounter);
            }
            schema = schema.min(between.schema);
        }
    }
    let mut change = last.clone();
    change.reduce_resolution(schema);
    let mut done = change.sub(start);
    if is_counter {
        // Whether between the first two is known.
        done = done.and_then(|()| add_what_was_reset(&mut change, &histograms[1..]));
    } else if ![first, last].iter().all(|it| is_gauge(it)) {
        notes.push(RangeNote::NotGauge);
    }
    if let Err(error) = done {
        return (None, vec![error.into()]);
    }
    change.reset_hint = CounterResetHint::Gauge;
    change.compact();
    (Some(change), notes)
}

/// Adds what was counted before each reset.
fn add_what_was_reset(
    change: &mut NativeHistogram,
    histograms: &[HistogramSample],
) -> Result<(), IncompatibleHistograms> {
    for pair in histograms.windows(2) {
        if pair[1].histogram.detect_reset(&pair[0].histogram) {
            change.add(&pair[0].histogram)?;
        }
    }
    Ok(())
}

/// The change between the last two samples, if both are histograms or both are floats: per second for a
/// counter, else as it is.
pub(super) fn instant(
    floats: &[Sample],
    histograms: &[HistogramSample],
    is_counter: bool,
) -> RangeOutcome {
    let floats = &floats[floats.len().saturating_sub(2)..];
    let histograms = &histograms[histograms.len().saturating_sub(2)..];
    let mut pair = [None, None];
    for sample in in_order_of_time(floats, histograms) {
        pair = [pair[1], Some(sample)];
    }
    let [Some(before), Some(last)] = pair else {
        return RangeOutcome::none(Vec::new());
    };
    let elapsed_ms = last.timestamp_ms() - before.timestamp_ms();
    if elapsed_ms == 0 {
        return RangeOutcome::none(Vec::new());
    }
    match (before, last) {
        (AnySample::Float(before), AnySample::Float(last)) => {
            RangeOutcome::of(rate::instant(&[*before, *last], is_counter))
        }
        (AnySample::Histogram(before), AnySample::Histogram(last)) => {
            let seconds = is_counter.then_some(elapsed_ms as f64 / 1000.0);
            between(&before.histogram, &last.histogram, seconds)
        }
        _ => RangeOutcome::none(vec![RangeNote::MixedKinds]),
    }
}

/// The change from one histogram to the next; of a counter, those seconds later, in a second.
fn between(before: &NativeHistogram, last: &NativeHistogram, seconds: Option<f64>) -> RangeOutcome {
    let mut notes = Vec::new();
    match seconds {
        Some(_) if is_gauge(before) || is_gauge(last) => notes.push(RangeNote::NotCounter),
        None if !is_gauge(before) || !is_gauge(last) => notes.push(RangeNote::NotGauge),
        _ => {}
    }
    let mut change = last.clone();
    let began_anew = seconds.is_some() && last.detect_reset(before);
    if !began_anew && let Err(error) = change.sub(before) {
        notes.push(error.into());
        return RangeOutcome::none(notes);
    }
    change.reset_hint = CounterResetHint::Gauge;
    change.compact();
    if let Some(seconds) = seconds {
        change.divide(seconds);
    }
    RangeOutcome { notes, ..RangeOutcome::histogram(&Arc::new(change)) }
}

fn is_gauge(histogram: &NativeHistogram) -> bool {
    histogram.reset_hint == CounterResetHint::Gauge
}

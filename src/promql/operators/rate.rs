//! A rate: how fast the samples of a range change, and how often.
//!
//! A counter that falls has been reset to zero. The change between the first and the last sample
//! is extrapolated to the bounds of the range where the samples come near them.
//! Source: Prometheus `promql/functions.go`, `extrapolatedRate`.

use crate::sample::Sample;

use super::any_sample::is_same_value;
use super::window::Window;

/// How much more than the average distance between samples the first or last one may be away from
/// the bound, and still be taken as "the series goes on beyond it": Prometheus's 10 %.
const EXTRAPOLATION_THRESHOLD: f64 = 1.1;

/// The change over the samples, and the factor by which it grows over the whole range. Two samples
/// are needed.
pub(crate) fn extrapolated(
    samples: &[Sample],
    window: &Window,
    counter: bool,
) -> Option<(f64, f64)> {
    let [first, .., last] = samples else {
        return None;
    };
    let mut change = last.value - first.value;
    if counter {
        let mut previous = first.value;
        for sample in &samples[1..] {
            if sample.value < previous {
                change += previous;
            }
            previous = sample.value;
        }
    }
    let factor = extrapolation_factor(
        samples.len(),
        first.timestamp_ms,
        last.timestamp_ms,
        window,
        |sampled| {
            // A counter cannot have been below zero: do not extrapolate past where it was zero.
            let has_zero = counter && change > 0.0 && first.value >= 0.0;
            has_zero.then(|| sampled * (first.value / change))
        },
    );
    Some((change, factor))
}

/// The factor by which a change over so many samples, at least two, grows over the whole range. Of the seconds
/// that were sampled, `to_zero` says how many before the first sample the series began at the latest.
pub(super) fn extrapolation_factor(
    samples: usize,
    first_ms: i64,
    last_ms: i64,
    window: &Window,
    to_zero: impl FnOnce(f64) -> Option<f64>,
) -> f64 {
    let mut to_start = (first_ms - window.start_ms) as f64 / 1000.0;
    let mut to_end = (window.end_ms - last_ms) as f64 / 1000.0;
    let sampled = (last_ms - first_ms) as f64 / 1000.0;
    let average = sampled / (samples - 1) as f64;
    let threshold = average * EXTRAPOLATION_THRESHOLD;
    if to_start >= threshold {
        to_start = average / 2.0;
    }
    if let Some(to_zero) = to_zero(sampled)
        && to_zero < to_start
    {
        to_start = to_zero;
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let mut covered = sampled;
    covered += to_start;
    covered += to_end;
    covered / sampled
}

/// The change between the last two samples: per second for a counter, else as it is.
pub(crate) fn instant(samples: &[Sample], counter: bool) -> Option<f64> {
    let [.., before, last] = samples else {
        return None;
    };
    let elapsed_ms = last.timestamp_ms - before.timestamp_ms;
    if elapsed_ms == 0 {
        return None;
    }
    if !counter {
        return Some(last.value - before.value);
    }
    let change = if last.value < before.value { last.value } else { last.value - before.value };
    Some(change / (elapsed_ms as f64 / 1000.0))
}

/// How often the value differs from the one before.
///
/// # NaN
/// A NaN after a NaN is no change.
pub(crate) fn changes(samples: &[Sample]) -> f64 {
    let changed = |w: &&[Sample]| !is_same_value(w[0].value, w[1].value);
    samples.windows(2).filter(changed).count() as f64
}

/// How often the value is below the one before.
pub(crate) fn resets(samples: &[Sample]) -> f64 {
    samples.windows(2).filter(|w| w[1].value < w[0].value).count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::syntax::when::When;

    fn samples(values: &[(i64, f64)]) -> Vec<Sample> {
        values.iter().map(|(t, v)| Sample::new(*t, *v)).collect()
    }

    /// Over `(0, 60 s]`.
    #[track_caller]
    fn check(values: &[(i64, f64)], counter: bool, expected: Option<f64>) {
        let window = Window::new(60_000, 60_000, When::default());
        let got = extrapolated(&samples(values), &window, counter).map(|(c, f)| c * f);
        match (got, expected) {
            (Some(got), Some(expected)) => {
                assert!((got - expected).abs() < 1e-12, "{got} and not {expected}");
            }
            (got, expected) => assert_eq!(got, expected),
        }
    }

    #[test]
    fn samples_near_the_bounds_are_extrapolated_to_them() {
        // 15 s apart, 5 s from the start, 10 s from the end: over the whole minute.
        let values = [(5_000, 100.0), (20_000, 115.0), (35_000, 130.0), (50_000, 145.0)];
        check(&values, true, Some(60.0));
        check(&values, false, Some(60.0));
    }

    #[test]
    fn far_from_a_bound_half_a_distance_is_added() {
        // 10 s apart, 30 s from the start, exactly at the end.
        check(&[(40_000, 100.0), (50_000, 110.0), (60_000, 120.0)], true, Some(25.0));
    }

    #[test]
    fn a_counter_is_not_extrapolated_below_zero() {
        // 15 s from the start, but zero was only 2 s before the first sample.
        check(&[(15_000, 2.0), (30_000, 17.0), (45_000, 32.0), (60_000, 47.0)], true, Some(47.0));
        check(&[(15_000, 2.0), (30_000, 17.0), (45_000, 32.0), (60_000, 47.0)], false, Some(60.0));
    }

    #[test]
    fn a_reset_adds_what_was_there_before() {
        check(
            &[(30_000, 90.0), (40_000, 100.0), (50_000, 5.0), (60_000, 15.0)],
            true,
            Some(29.166666666666668),
        );
        check(&[(30_000, 90.0), (60_000, 15.0)], false, Some(-150.0));
    }

    #[test]
    fn one_sample_is_not_enough() {
        check(&[(30_000, 90.0)], true, None);
        assert_eq!(instant(&samples(&[(1, 1.0)]), true), None);
    }

    #[test]
    fn instant_rates_take_the_last_two() {
        let values = samples(&[(0, 9.0), (10_000, 1.0), (15_000, 6.0)]);
        assert_eq!(instant(&values, true), Some(1.0));
        assert_eq!(instant(&values, false), Some(5.0));
        assert_eq!(instant(&values[..2], true), Some(0.1), "after a reset");
        assert_eq!(instant(&values[..2], false), Some(-8.0));
        assert_eq!(instant(&samples(&[(5, 1.0), (5, 2.0)]), true), None);
    }

    #[test]
    fn changes_and_resets_count() {
        let nan = f64::NAN;
        let values = samples(&[(1, 1.0), (2, 1.0), (3, nan), (4, nan), (5, 2.0), (6, 1.0)]);
        assert_eq!(changes(&values), 3.0);
        assert_eq!(resets(&values), 1.0);
    }
}

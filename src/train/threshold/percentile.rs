//! A percentile: the score that a percentage of the scores does not exceed.

/// What is always shown side by side: from what a first look at data takes to what leaves one step
/// in a thousand.
pub(super) const PERCENTILES: [f64; 4] = [95.0, 99.0, 99.5, 99.9];

/// The value at `percent` of ascending scores, on the line between the two neighbours where it
/// falls between them. NaN without scores.
///
/// # Source
/// Hyndman and Fan 1996, definition 7; numpy's default.
pub(super) fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = percent / 100.0 * last as f64;
    let below = (position.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let share = position - below as f64;
    sorted[below] + (sorted[above] - sorted[below]) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(percent: f64, sorted: &[f64], expected: f64) {
        let found = percentile(sorted, percent);
        assert!((found - expected).abs() < 1e-12, "{found}");
    }

    #[test]
    fn a_percentile_is_numpys() {
        // numpy.percentile([4, 1, 3, 2], 99.5) and so on.
        check(99.5, &[1.0, 2.0, 3.0, 4.0], 3.985);
        check(50.0, &[1.0, 2.0, 3.0, 4.0], 2.5);
        check(100.0, &[1.0, 2.0, 3.0, 4.0], 4.0);
        check(10.0, &[1.0, 2.0, 3.0, 4.0], 1.3);
        check(99.5, &[0.25], 0.25);
        assert!(percentile(&[], 50.0).is_nan());
    }
}

//! Statistics: the middle of values, what a share of them does not exceed, and the normal
//! distribution.
//!
//! In: values in any order, or ascending where a parameter says `sorted`. Out: a figure in the unit
//! of the values, or nothing of nothing.
//!
//! There are two quantiles, and each caller says which one it means: [`by_rank`] is always one of
//! the values, [`interpolated`] may lie between two of them. PromQL has its own (`promql`), and the
//! guard in `detect` a running one over bins.
//!
//! # NaN
//! A value that is NaN is as if it had not been given; infinite ones count as what they are. What
//! takes `sorted` values takes them without NaN.
//!
//! Sources: Hyndman and Fan 1996, "Sample quantiles in statistical packages" (the definitions by
//! their numbers); Hampel 1974 (why the median).

/// A value that has an order and a place among float64: `f32` or `f64`.
pub trait Value: Copy + Into<f64> {}

impl Value for f32 {}
impl Value for f64 {}

/// The value in the middle; of an even number of values the mean of the two in the middle, as
/// Prometheus's `quantile(0.5, ..)` and numpy's `median` have it.
#[must_use]
pub fn median<T: Value>(values: Vec<T>) -> Option<f64> {
    let mut values = numbers(values);
    let middle = values.len() / 2;
    let is_even = values.len().is_multiple_of(2);
    let upper = float(selected(&mut values, middle)?);
    // Selection has put all that is not larger before it.
    let below = values[..middle].iter().copied().map(float).max_by(f64::total_cmp);
    Some(below.filter(|_| is_even).map_or(upper, |lower| f64::midpoint(lower, upper)))
}

/// The value in the middle; of an even number of values the larger of the two in the middle. It is
/// one of the values.
#[must_use]
pub fn median_high<T: Value>(values: Vec<T>) -> Option<T> {
    let mut values = numbers(values);
    let middle = values.len() / 2;
    selected(&mut values, middle)
}

/// The smallest of the values that this share of them, between 0 and 1, does not exceed.
///
/// # Source
/// Hyndman and Fan 1996, definition 1; numpy's `inverted_cdf`.
#[must_use]
pub fn by_rank<T: Value>(values: Vec<T>, share: f64) -> Option<T> {
    let mut values = numbers(values);
    let rank = (share * values.len() as f64).ceil() as usize;
    let last = values.len().checked_sub(1)?;
    selected(&mut values, rank.saturating_sub(1).min(last))
}

/// The range of the values without this share of them, between 0 and 1/2, on either side: from one
/// value to another. As many are left out on the one side as on the other, rather too few than too
/// many.
#[must_use]
pub fn trimmed_range<T: Value>(values: Vec<T>, share: f64) -> Option<(T, T)> {
    let mut values = numbers(values);
    let last = values.len().checked_sub(1)?;
    let left_out = ((share * last as f64) as usize).min(last / 2);
    let lower = selected(&mut values, left_out)?;
    Some((lower, selected(&mut values, last - left_out)?))
}

/// The value at a share, between 0 and 1, of the way from the smallest to the largest of ascending
/// values, on the line between the two neighbours where it falls between them. Starts from the
/// nearer one, so that a quantile that is a value is exactly that value.
///
/// # NaN
/// Of infinite neighbours it may be NaN.
///
/// # Source
/// Hyndman and Fan 1996, definition 7; numpy's default.
#[must_use]
pub fn interpolated(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = share * last as f64;
    let lower = (position.max(0.0) as usize).min(last);
    let (a, b) = (sorted[lower], sorted[(lower + 1).min(last)]);
    let part = position - lower as f64;
    Some(match part {
        part if lower == last || part <= 0.0 => a,
        part if part < 0.5 => a + (b - a) * part,
        part => b - (b - a) * (1.0 - part),
    })
}

/// The mean of an exponential distribution by its median: a few values that are far too large do not
/// move it, as they would move the mean itself.
///
/// # Source
/// The median of an exponential distribution is `ln 2` times its mean.
#[must_use]
pub fn robust_exponential_scale(values: Vec<f64>) -> Option<f64> {
    median(values).map(|median| median / std::f64::consts::LN_2)
}

/// The mean and the square root of the unbiased variance. Of a single value the latter is NaN, and
/// of none both.
///
/// # NaN
/// One makes both NaN.
#[must_use]
pub fn mean_and_sigma(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0)).sqrt())
}

/// The probability that a standard normal variable is above `x`. NaN for NaN.
#[must_use]
pub fn normal_above(x: f64) -> f64 {
    0.5 * libm::erfc(x / std::f64::consts::SQRT_2)
}

/// The value that a standard normal variable is below with this probability, correct to ten digits
/// between 1e-50 and 1 - 1e-6. NaN for what is no probability; infinite at 0 and 1.
#[must_use]
pub fn normal_quantile(probability: f64) -> f64 {
    match probability {
        p if !(0.0..=1.0).contains(&p) => return f64::NAN,
        0.0 => return f64::NEG_INFINITY,
        1.0 => return f64::INFINITY,
        p if p > 0.5 => return -normal_quantile(1.0 - p),
        _ => {}
    }
    // The tail is monotone, and halving an interval of 16 for 60 times leaves nothing of it.
    let (mut low, mut high) = (-16.0, 0.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if normal_above(-middle) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

fn numbers<T: Value>(mut values: Vec<T>) -> Vec<T> {
    values.retain(|value| !float(*value).is_nan());
    values
}

fn float<T: Value>(value: T) -> f64 {
    value.into()
}

/// The value that would be at a place if they were sorted, where it then is.
fn selected<T: Value>(values: &mut [T], place: usize) -> Option<T> {
    if place >= values.len() {
        return None;
    }
    let order = |a: &T, b: &T| float(*a).total_cmp(&float(*b));
    Some(*values.select_nth_unstable_by(place, order).1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAN: f64 = f64::NAN;

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median::<f64>(vec![]), None);
        assert_eq!(median(vec![NAN]), None);
        assert_eq!(median(vec![7.0_f32]), Some(7.0));
        assert_eq!(median(vec![3.0, NAN, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0_f32, 0.5, 2.0, 0.25]), Some(1.25));
        // Neither float32 nor float64 overflows.
        assert_eq!(median(vec![f32::MAX, f32::MAX]), Some(f64::from(f32::MAX)));
        assert_eq!(median(vec![f64::MAX, f64::MAX]), Some(f64::MAX));
        assert_eq!(median(vec![f64::INFINITY, 1.0, 0.0]), Some(1.0));
        assert_eq!(median_high(vec![4.0, 1.0, NAN, 3.0, 2.0]), Some(3.0));
        assert_eq!(median_high(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median_high::<f32>(vec![]), None);
    }

    #[track_caller]
    fn check_rank(values: &[f64], share: f64, expected: Option<f64>) {
        assert_eq!(by_rank(values.to_vec(), share), expected);
    }

    #[test]
    fn a_rank_is_numpys_inverted_cdf() {
        check_rank(&[], 0.5, None);
        check_rank(&[NAN, 2.0], 1.0, Some(2.0));
        check_rank(&[4.0, 1.0, 3.0, 2.0], 0.0, Some(1.0));
        check_rank(&[4.0, 1.0, 3.0, 2.0], 0.5, Some(2.0));
        check_rank(&[4.0, 1.0, 3.0, 2.0], 0.51, Some(3.0));
        check_rank(&[4.0, 1.0, 3.0, 2.0], 1.0, Some(4.0));
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        check_rank(&hundred, 0.99, Some(99.0));
    }

    #[test]
    fn a_trimmed_range_goes_from_value_to_value() {
        assert_eq!(trimmed_range::<f32>(vec![], 0.1), None);
        assert_eq!(trimmed_range(vec![3.0], 0.5), Some((3.0, 3.0)));
        assert_eq!(trimmed_range(vec![5.0, -1.0, NAN, 2.0], 0.1), Some((-1.0, 5.0)));
        let eleven: Vec<f64> = (0..=10).rev().map(f64::from).collect();
        assert_eq!(trimmed_range(eleven.clone(), 0.1), Some((1.0, 9.0)));
        assert_eq!(trimmed_range(eleven.clone(), 0.09), Some((0.0, 10.0)));
        assert_eq!(trimmed_range(eleven, 1.0), Some((5.0, 5.0)));
    }

    #[track_caller]
    fn check_interpolated(sorted: &[f64], share: f64, expected: f64) {
        let found = interpolated(sorted, share).expect("of something");
        assert!((found - expected).abs() < 1e-12, "{found}");
    }

    #[test]
    fn an_interpolated_quantile_is_numpys() {
        // numpy.quantile([4, 1, 3, 2], 0.995) and so on.
        check_interpolated(&[1.0, 2.0, 3.0, 4.0], 0.995, 3.985);
        check_interpolated(&[1.0, 2.0, 3.0, 4.0], 0.5, 2.5);
        check_interpolated(&[1.0, 2.0, 3.0, 4.0], 0.1, 1.3);
        check_interpolated(&[0.25], 0.995, 0.25);
        let sorted = [1.0, 2.0, 4.0];
        let found = [0.0, 0.25, 0.5, 0.875, 1.0].map(|share| interpolated(&sorted, share));
        assert_eq!(found, [1.0, 1.5, 2.0, 3.5, 4.0].map(Some));
        assert_eq!(interpolated(&[], 0.5), None);
    }

    #[test]
    fn a_scale_does_not_move_for_an_outlier() {
        let ln_2 = std::f64::consts::LN_2;
        let scale = robust_exponential_scale(vec![ln_2, 9e9, 0.0]);
        assert_eq!(scale, Some(1.0));
        assert_eq!(robust_exponential_scale(vec![]), None);
        let (mean, sigma) = mean_and_sigma(&[1.0, 2.0, 3.0]);
        assert_eq!((mean, sigma), (2.0, 1.0));
        assert!(mean_and_sigma(&[1.0]).1.is_nan() && mean_and_sigma(&[]).0.is_nan());
    }

    #[test]
    fn the_normal_distribution_is_that_of_tables() {
        for (probability, expected) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.025, -1.959_963_984_540_054),
            (1e-10, -6.361_340_902_404_056),
            (0.841_344_746_068_542_9, 1.0),
        ] {
            let found = normal_quantile(probability);
            assert!((found - expected).abs() < 1e-10, "{probability}: {found}");
            assert!((normal_above(found) - (1.0 - probability)).abs() < 1e-12);
        }
        assert_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
        assert_eq!(normal_quantile(1.0), f64::INFINITY);
        let no_probabilities = [NAN, -0.1, 1.1];
        assert!(no_probabilities.iter().all(|it| normal_quantile(*it).is_nan()));
        assert!(normal_above(NAN).is_nan());
    }

    proptest! {
        #[test]
        fn figures_are_those_of_sorted_values(
            values in prop::collection::vec(-50_i8..50, 1..40),
            share in 0.0_f64..=1.0,
        ) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let mut sorted = values.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            let (n, last) = (sorted.len(), sorted.len() - 1);
            let middle = (sorted[last / 2] + sorted[n / 2]) / 2.0;
            prop_assert_eq!(median(values.clone()), Some(middle));
            prop_assert_eq!(interpolated(&sorted, 0.5), Some(middle));
            prop_assert_eq!(median_high(values.clone()), Some(sorted[n / 2]));
            let ranked = by_rank(values.clone(), share).expect("of something");
            let within = |limit: f64| sorted.iter().filter(|it| **it <= limit).count() as f64;
            prop_assert!(within(ranked) >= share * n as f64);
            let below = sorted.iter().copied().rfind(|it| *it < ranked);
            prop_assert!(below.is_none_or(|below| within(below) < share * n as f64));
            let between = interpolated(&sorted, share).expect("of something");
            prop_assert!((sorted[0]..=sorted[last]).contains(&between));
        }
    }
}

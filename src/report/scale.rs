//! A scale: numbers along an axis, and the ticks that name them.
//!
//! In: the numbers to show. Out: a place from 0 to 1 for each, and ticks at round numbers.
//! Invariants: the range is finite and not empty, and every place is within it; numbers outside of
//! it land on its edge, and the plot says how many.

/// Larger numbers are shown at this one; the span between two of them is still finite.
const LARGEST: f64 = 1e300;
/// A logarithmic axis reaches this far below the largest value. Nine decades are readable in 280
/// pixels, and further down is rounding noise of a 32-bit model.
const LOG_REACH: f64 = 1e9;
/// Free space beyond the extremes, as a part of the span, so that no line touches the frame.
const PADDING: f64 = 0.05;
/// No axis has more ticks; only a span lost to rounding would ask for more.
const MAX_TICKS: usize = 40;

/// A tick: place from 0 to 1, and label.
pub(super) type Tick = (f64, String);

/// Numbers along an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    lo: f64,
    hi: f64,
    log: bool,
}

impl Scale {
    /// From `lo` to `hi` as they are; an empty range is widened around its value.
    pub(super) fn linear(lo: f64, hi: f64) -> Self {
        let (lo, hi) = (finite(lo), finite(hi));
        let wide = hi - lo > lo.abs().max(hi.abs()) * 1e-12;
        let around = if lo == 0.0 { 1.0 } else { lo.abs() * 0.1 };
        let (lo, hi) = if wide { (lo, hi) } else { (lo - around, lo + around) };
        Self { lo, hi, log: false }
    }

    /// From `lo` to `hi`, both above zero, in equal steps for equal factors.
    pub(super) fn log(lo: f64, hi: f64) -> Self {
        let lo = finite(lo).max(1.0 / LARGEST);
        Self { lo, hi: finite(hi).max(lo * 1.5), log: true }
    }

    /// A vertical range that shows all finite values, and zero where it is near.
    pub(super) fn fit(values: impl Iterator<Item = f64>, log: bool) -> Self {
        let values = values.filter(|value| value.is_finite() && (!log || *value > 0.0));
        let (lo, hi) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), value| {
            (lo.min(finite(value)), hi.max(finite(value)))
        });
        if lo > hi {
            return if log { Self::log(0.1, 1.0) } else { Self::linear(0.0, 1.0) };
        }
        if log {
            let lo = lo.max(hi / LOG_REACH);
            let pad = (hi / lo).powf(PADDING).max(1.25);
            return Self::log(lo / pad, hi * pad);
        }
        let lo = if lo > 0.0 && lo < hi * 0.5 { 0.0 } else { lo };
        let pad = (hi - lo) * PADDING;
        Self::linear(if lo == 0.0 { 0.0 } else { lo - pad }, hi + pad)
    }

    /// The lowest number it shows.
    pub(super) fn lo(&self) -> f64 {
        self.lo
    }

    /// The highest number it shows.
    pub(super) fn hi(&self) -> f64 {
        self.hi
    }

    /// Where a number stands: 0 at the lower end, 1 at the upper.
    ///
    /// # NaN
    /// Stands at 0; callers drop it before.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = if self.log {
            let value = value.max(self.lo);
            (value.ln() - self.lo.ln()) / (self.hi.ln() - self.lo.ln())
        } else {
            (finite(value) - self.lo) / (self.hi - self.lo)
        };
        if place.is_nan() { 0.0 } else { place.clamp(0.0, 1.0) }
    }

    /// The number at a place: the inverse of `place`.
    pub(super) fn value(&self, place: f64) -> f64 {
        if self.log {
            (self.lo.ln() + place * (self.hi.ln() - self.lo.ln())).exp()
        } else {
            self.lo + place * (self.hi - self.lo)
        }
    }

    /// About so many ticks at round numbers.
    pub(super) fn ticks(&self, about: usize) -> Vec<Tick> {
        if self.log {
            let decades = self.log_ticks(about);
            if decades.len() >= 3 {
                return decades;
            }
        }
        let step = round_step((self.hi - self.lo) / about.max(1) as f64);
        let largest = self.lo.abs().max(self.hi.abs());
        let first = (self.lo / step).ceil();
        let values = (0..MAX_TICKS).map(|i| (first + i as f64) * step);
        values
            .take_while(|value| *value <= self.hi + step * 1e-9)
            .map(|value| (self.place(value), tick_label(value, step, largest)))
            .collect()
    }

    fn log_ticks(&self, about: usize) -> Vec<Tick> {
        let (from, to) = (self.lo.log10().floor() as i32, self.hi.log10().ceil() as i32);
        let every = ((to - from) as usize).div_ceil(about.max(1)).max(1);
        let mantissas: &[f64] = if to - from <= 3 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let decades = (from..=to).filter(|decade| decade.rem_euclid(every as i32) == 0);
        decades
            .flat_map(|decade| mantissas.iter().map(move |m| (decade, m * 10f64.powi(decade))))
            .filter(|(_, value)| (self.lo..=self.hi).contains(value))
            .map(|(decade, value)| (self.place(value), log_label(value, decade)))
            .take(MAX_TICKS)
            .collect()
    }
}

fn finite(value: f64) -> f64 {
    value.clamp(-LARGEST, LARGEST)
}

/// The next of 1, 2, 5, 10, 20, … from a step upwards.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    let factor = factors.into_iter().find(|factor| factor * power >= step * 0.999);
    factor.unwrap_or(10.0) * power
}

/// Thousands, millions and so on have letters, from the range in which zeros are no longer counted
/// at a glance.
fn letter(largest: f64) -> Option<(f64, &'static str)> {
    match largest {
        _ if largest < 1e4 => Some((1.0, "")),
        _ if largest < 1e6 => Some((1e3, "k")),
        _ if largest < 1e9 => Some((1e6, "M")),
        _ if largest < 1e12 => Some((1e9, "G")),
        _ if largest < 1e15 => Some((1e12, "T")),
        _ => None,
    }
}

/// A value with as many digits as the step between ticks needs.
fn tick_label(value: f64, step: f64, largest: f64) -> String {
    if value.abs() < step * 1e-6 {
        return "0".into();
    }
    let digits = |unit: f64| (-(step / unit).log10() - 1e-9).ceil().max(0.0) as usize;
    let text = match letter(largest) {
        Some((unit, letter)) if digits(unit) <= 5 => {
            format!("{:.*}{letter}", digits(unit), value / unit)
        }
        _ => {
            let digits = largest.log10().floor() - (step.log10() + 1e-9).floor();
            let digits = digits.clamp(0.0, 12.0) as usize;
            format!("{value:.digits$e}")
        }
    };
    text.replace('-', "−")
}

fn log_label(value: f64, decade: i32) -> String {
    if (-3..=3).contains(&decade) {
        return format!("{value}");
    }
    let power: String = decade
        .to_string()
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            digit => {
                ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit as usize - '0' as usize]
            }
        })
        .collect();
    let mantissa = (value / 10f64.powi(decade)).round();
    if mantissa == 1.0 { format!("10{power}") } else { format!("{mantissa}·10{power}") }
}

/// A number with three significant digits, as a person would write it.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "no value".into();
    }
    let text = match letter(size) {
        _ if size == 0.0 => "0".into(),
        Some((unit, letter)) if size >= 1e-3 => {
            let digits = (2 - (size / unit).log10().floor() as i32).max(0) as usize;
            format!("{:.digits$}{letter}", value / unit)
        }
        _ => format!("{value:.2e}"),
    };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(scale: Scale, expected: &[&str]) {
        let ticks = scale.ticks(5);
        let labels: Vec<&str> = ticks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, expected, "{scale:?}");
        assert!(ticks.iter().all(|(place, _)| (0.0..=1.0).contains(place)), "{ticks:?}");
    }

    #[test]
    fn ticks_are_round() {
        check(Scale::linear(0.0, 1.0), &["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        check(Scale::linear(-30.0, 70.0), &["−20", "0", "20", "40", "60"]);
        check(Scale::linear(0.0, 50_000.0), &["0", "10k", "20k", "30k", "40k", "50k"]);
        check(Scale::linear(0.0, 4e-7), &["0", "1e−7", "2e−7", "3e−7", "4e−7"]);
        check(Scale::log(1e-4, 10.0), &["10⁻⁴", "0.001", "0.01", "0.1", "1", "10"]);
        check(Scale::log(1.0, 50.0), &["1", "2", "5", "10", "20", "50"]);
        check(Scale::log(1.0, 1.5), &["1.0", "1.1", "1.2", "1.3", "1.4", "1.5"]);
    }

    #[test]
    fn no_input_breaks_a_scale() {
        for (lo, hi) in [(0.0, 0.0), (5.0, 5.0), (f64::MIN, f64::MAX), (1e16, 1e16 + 2.0)] {
            for scale in [Scale::linear(lo, hi), Scale::log(lo, hi)] {
                assert!(scale.lo < scale.hi, "{lo} {hi}: {scale:?}");
                assert!(scale.ticks(5).len() <= MAX_TICKS, "{lo} {hi}");
                assert!((0.0..=1.0).contains(&scale.place(f64::MAX)), "{lo} {hi}");
            }
        }
    }

    #[test]
    fn a_fit_shows_all_values() {
        let fit = |values: &[f64], log| Scale::fit(values.iter().copied(), log);
        assert_eq!(fit(&[], false), Scale::linear(0.0, 1.0));
        assert_eq!(fit(&[f64::NAN, 2.0, 10.0], false).lo, 0.0);
        assert!(fit(&[90.0, 100.0], false).lo > 80.0);
        assert_eq!(fit(&[-1.0, 0.0], true), Scale::log(0.1, 1.0));
        let far = fit(&[1e-30, 1.0], true);
        assert!(far.lo > 1e-10 && far.hi > 1.0, "{far:?}");
        assert!((far.value(far.place(0.01)) - 0.01).abs() < 1e-9);
    }

    #[test]
    fn short_numbers() {
        let cases = [(0.0, "0"), (1.0, "1.00"), (-0.1234, "−0.123"), (1234.0, "1234")];
        for (value, expected) in cases {
            assert_eq!(short(value), expected);
        }
        assert_eq!(short(56_789.0), "56.8k");
        assert_eq!(short(1.5e-7), "1.50e−7");
        assert_eq!(short(f64::NAN), "no value");
    }
}

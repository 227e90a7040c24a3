//! A tail: how fast the excesses over a high level become rare.
//!
//! In: excesses, all above zero. Out: the generalised Pareto distribution of largest likelihood.
//!
//! Sources: Pickands 1975 (the distribution is what excesses over a high level tend to); Grimshaw
//! 1993 (its likelihood depends on one parameter, the ratio of shape and scale, once the shape is
//! the best one for that ratio); Hosking and Wallis 1987 (how far a fit can be trusted).

use std::ops::RangeInclusive;

/// Shapes that a fit may have. Below -1/2 the largest likelihood says nothing regular (Smith 1985);
/// at 1 the mean excess is infinite, which no bounded score has.
pub(super) const SHAPES: RangeInclusive<f64> = -0.5..=1.0;

/// Trials of the first, coarse search: an interval as wide as the grid's step holds one maximum.
const GRID: usize = 160;

/// Halvings, nearly, of the interval around the best one.
const REFINEMENTS: usize = 60;

/// `P(excess > x) = (1 + shape x / scale)^(-1 / shape)`, and `exp(-x / scale)` for a shape of 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tail {
    /// Above 0: heavier than exponential; below: it ends somewhere.
    pub shape: f64,
    /// In the unit of the scores.
    pub scale: f64,
}

impl Tail {
    /// The exponential tail of largest likelihood. With few excesses it errs less than one with a
    /// second parameter.
    pub fn exponential(excesses: &[f64]) -> Self {
        Self { shape: 0.0, scale: excesses.iter().sum::<f64>() / excesses.len() as f64 }
    }

    /// The tail of largest likelihood with a shape in this range, which holds 0.
    pub fn fit(excesses: &[f64], shapes: &RangeInclusive<f64>) -> Self {
        let max = excesses.iter().copied().fold(0.0, f64::max);
        // The ratio of shape and scale by its logarithm: 1 + ratio * max = exp(place), which is
        // above zero for every place, as it has to be.
        let ratio = |place: f64| place.exp_m1() / max;
        let shape = |ratio: f64| {
            excesses.iter().map(|x| (ratio * x).ln_1p()).sum::<f64>() / excesses.len() as f64
        };
        // The shape grows with the place.
        let place_of = |wanted: f64| match wanted {
            0.0 => 0.0,
            wanted => {
                // The shape at a place is between the place's mean share and the place itself.
                let mut far = wanted;
                while shape(ratio(far)).abs() < wanted.abs() && far.abs() < 500.0 {
                    far *= 2.0;
                }
                let mut near = 0.0;
                for _ in 0..REFINEMENTS {
                    let middle = 0.5 * (near + far);
                    if shape(ratio(middle)).abs() < wanted.abs() {
                        near = middle;
                    } else {
                        far = middle;
                    }
                }
                near
            }
        };
        let likelihood = |place: f64| {
            let tail = Self::at(excesses, ratio(place), &shape);
            -tail.scale.ln() - tail.shape
        };
        let (low, high) = (place_of(*shapes.start()), place_of(*shapes.end()));
        let step = (high - low) / GRID as f64;
        let places = (0..=GRID).map(|i| low + step * i as f64);
        let best = places
            .map(|place| (likelihood(place), place))
            .fold((f64::NEG_INFINITY, 0.0), |best, it| if it.0 > best.0 { it } else { best });
        let range = (best.1 - step).max(low)..=(best.1 + step).min(high);
        let place = golden_section(likelihood, range);
        Self::at(excesses, ratio(place), &shape)
    }

    fn at(excesses: &[f64], ratio: f64, shape: &dyn Fn(f64) -> f64) -> Self {
        let shape = shape(ratio);
        // So near to 0 that the quotient would be rounding.
        if shape.abs() < 1e-9 {
            return Self::exponential(excesses);
        }
        Self { shape, scale: shape / ratio }
    }

    /// The excess that one in `rarity` excesses is above. Negative for a rarity below 1: then
    /// more than all are wanted.
    pub fn exceeded_once_in(&self, rarity: f64) -> f64 {
        let log = rarity.ln();
        match self.shape.abs() < 1e-9 {
            true => self.scale * log,
            false => self.scale * (self.shape * log).exp_m1() / self.shape,
        }
    }
}

/// Where a function with one maximum in a range has it.
///
/// # Source
/// Kiefer 1953.
fn golden_section(value: impl Fn(f64) -> f64, range: RangeInclusive<f64>) -> f64 {
    const RATIO: f64 = 0.618_033_988_749_894_9;
    let (mut low, mut high) = range.into_inner();
    let (mut left, mut right) = (high - RATIO * (high - low), low + RATIO * (high - low));
    let (mut at_left, mut at_right) = (value(left), value(right));
    for _ in 0..REFINEMENTS {
        if at_left >= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - RATIO * (high - low);
            at_left = value(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + RATIO * (high - low);
            at_right = value(right);
        }
    }
    0.5 * (low + high)
}

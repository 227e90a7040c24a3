//! Bounds of buckets: an index and a schema → where the bucket ends.
//!
//! Source: Prometheus 3.5 `model/histogram/generic.go` (`getBoundExponential`, `exponentialBounds`).

use super::{NativeHistogram, SCHEMA_MAX, SCHEMA_MIN};

/// From here on every index of every schema has an infinite bound, and from its negative on zero: index 2^24
/// of schema 8 is at 2^65536.
const FARTHEST_INDEX: i64 = 1 << 24;

/// The exponent of the bound above the largest f64.
const OVERFLOW_EXPONENT: i64 = 1024;

/// The upper bound of an exponential bucket, by the schema and the bucket's index; its lower bound is that of
/// the index before it. The last bucket of finite numbers ends at the largest of them, the one after it holds
/// the infinite ones.
#[must_use]
pub(super) fn exponential(index: i64, schema: i32) -> f64 {
    let schema = schema.clamp(SCHEMA_MIN, SCHEMA_MAX);
    let index = index.clamp(-FARTHEST_INDEX, FARTHEST_INDEX);
    let (fraction, exponent) = if schema < 0 {
        (0.5, (index << -schema) + 1)
    } else {
        let steps = 1_i64 << schema;
        let step = index.rem_euclid(steps) << (SCHEMA_MAX - schema);
        (FRACTIONS[step as usize], index.div_euclid(steps) + 1)
    };
    if fraction == 0.5 && exponent == OVERFLOW_EXPONENT + 1 {
        return f64::MAX;
    }
    scaled(fraction, exponent)
}

/// The index of the bucket of a coarser schema in which a bucket of a finer one is.
#[must_use]
pub(super) const fn target_index(index: i64, schema: i32, target: i32) -> i64 {
    let halvings = schema.saturating_sub(target);
    if halvings <= 0 {
        return index;
    }
    ((index - 1) >> if halvings < 63 { halvings } else { 63 }) + 1
}

/// `fraction` (at least 1/2, below 1) times 2 to the power of `exponent`, rounded once.
fn scaled(fraction: f64, exponent: i64) -> f64 {
    // The exponents of normal numbers; a fraction below 1 is one less than its exponent.
    const LEAST: i64 = -1021;
    const ROOM: i64 = 64;
    match exponent {
        ..LEAST if exponent < LEAST - ROOM => 0.0,
        ..LEAST => fraction * power_of_two(exponent + ROOM) * power_of_two(-ROOM),
        LEAST..=OVERFLOW_EXPONENT => (2.0 * fraction) * power_of_two(exponent - 1),
        _ => f64::INFINITY,
    }
}

/// 2 to the power of -1022 to 1023, exactly.
fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

impl NativeHistogram {
    /// The upper bound of the bucket with this index on the positive side, and the lower bound of the one
    /// after it. Custom buckets begin at -∞ and end at +∞.
    #[must_use]
    pub(super) fn bound(&self, index: i64) -> f64 {
        if !self.has_custom_buckets() {
            return exponential(index, self.schema);
        }
        match usize::try_from(index) {
            Err(_) => f64::NEG_INFINITY,
            Ok(at) => self.custom_values.get(at).copied().unwrap_or(f64::INFINITY),
        }
    }
}

/// 2^(1/2), 2^(1/4) and so on to 2^(1/256): how far the bounds of schemas 1 to 8 are apart. The first is one unit
/// in the last place below the nearest f64, as in Prometheus.
const ROOTS: [f64; SCHEMA_MAX as usize] = [
    std::f64::consts::SQRT_2.next_down(),
    1.189207115002721,
    1.0905077326652577,
    1.0442737824274138,
    1.0218971486541166,
    1.0108892860517005,
    1.0054299011128027,
    1.0027112750502025,
];

/// 2^(i/256 - 1) for `i` from 0 to 255: the bounds of schema 8 from 1/2 to 1. Those of a coarser schema are
/// among them.
const FRACTIONS: [f64; 1 << SCHEMA_MAX] = fractions();

/// The bounds of a schema are those of the coarser one, and between two of them the first times the distance.
/// So they are what Prometheus's are, to the bit: with others a quantile at a bound would be another.
const fn fractions() -> [f64; 1 << SCHEMA_MAX] {
    let mut all = [0.5; 1 << SCHEMA_MAX];
    let mut schema = 1;
    while schema <= SCHEMA_MAX as usize {
        let stride = all.len() >> schema;
        let mut at = stride;
        while at < all.len() {
            all[at] = all[at - stride] * ROOTS[schema - 1];
            at += 2 * stride;
        }
        schema += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Products of up to eight roots, each rounded.
    #[test]
    fn fractions_are_powers_of_two() {
        for (i, fraction) in FRACTIONS.iter().enumerate() {
            let exact = libm::exp2(i as f64 / 256.0 - 1.0);
            assert!(
                (fraction - exact).abs() <= 4.0 * f64::EPSILON / 2.0,
                "{i}: {fraction}, {exact}"
            );
        }
        assert!(FRACTIONS.is_sorted());
    }
}

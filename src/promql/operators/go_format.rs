//! How Go writes numbers, and Prometheus native histograms, where the text is part of an answer.
//!
//! Source: Go's `strconv.FormatFloat` and `fmt`; Prometheus 3.5 `model/histogram/float_histogram.go`
//! (`FloatHistogram.String`) and `generic.go` (`Bucket.String`).

use std::fmt::Write as _;

use crate::histogram::{HistogramBucket, NativeHistogram};

/// A number as Go writes it with `%g`: the fewest digits, and an exponent where it is large or small.
pub(crate) fn general(value: f64) -> String {
    match value {
        f64::INFINITY => return "+Inf".to_owned(),
        f64::NEG_INFINITY => return "-Inf".to_owned(),
        value if value == 0.0 || value.is_nan() => return value.to_string(),
        _ => {}
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or(0) {
        // Go's bounds where the fewest digits are asked for.
        -4..6 => value.to_string(),
        exponent => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
    }
}

/// A native histogram as Prometheus writes it: count, sum, and the buckets with observations, ascending.
pub(crate) fn histogram(of: &NativeHistogram) -> String {
    let mut text = format!("{{count:{}, sum:{}", general(of.count), general(of.sum));
    let mut negative: Vec<_> = of.negative_buckets().collect();
    negative.reverse();
    let zero = HistogramBucket {
        lower: -of.zero_threshold,
        upper: of.zero_threshold,
        has_lower: true,
        has_upper: true,
        count: of.zero_count,
    };
    for bucket in negative.into_iter().chain([zero]).chain(of.positive_buckets()) {
        if bucket.count != 0.0 {
            let (open, close) = (
                if bucket.has_lower { '[' } else { '(' },
                if bucket.has_upper { ']' } else { ')' },
            );
            let [lower, upper, count] = [bucket.lower, bucket.upper, bucket.count].map(general);
            let _ = write!(text, ", {open}{lower},{upper}{close}:{count}");
        }
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::{BucketCounts, BucketSpan, SCHEMA_CUSTOM};

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (value, expected) in [
            (2.0, "2"),
            (1.3, "1.3"),
            (-0.999_999_9, "-0.9999999"),
            (123_456.5, "123456.5"),
            (1e6, "1e+06"),
            (1.795_786_138e9, "1.795786138e+09"),
            (-1e-5, "-1e-05"),
            (-1e-4, "-0.0001"),
            (1e300, "1e+300"),
            (-0.0, "-0"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(general(value), expected);
        }
    }

    fn counts(offset: i32, counts: &[f64]) -> BucketCounts {
        let spans = vec![BucketSpan { offset, length: counts.len() as u32 }];
        BucketCounts { spans, counts: counts.to_vec() }
    }

    #[test]
    fn histograms_are_written_as_prometheus_writes_them() {
        let both_sides = NativeHistogram {
            count: 1e6,
            sum: -1.5,
            zero_threshold: 0.001,
            zero_count: 3.0,
            positive: counts(0, &[2.0, 0.0, 0.5]),
            negative: counts(1, &[1.0, 4.0]),
            ..NativeHistogram::default()
        };
        assert_eq!(
            histogram(&both_sides),
            "{count:1e+06, sum:-1.5, [-4,-2):4, [-2,-1):1, [-0.001,0.001]:3, (0.5,1]:2, (2,4]:0.5}"
        );
        let custom = NativeHistogram {
            schema: SCHEMA_CUSTOM,
            count: 6.0,
            sum: f64::NAN,
            positive: counts(0, &[1.0, 2.0, 3.0]),
            custom_values: vec![0.25, 5.0],
            ..NativeHistogram::default()
        };
        assert_eq!(histogram(&custom), "{count:6, sum:NaN, [-Inf,0.25]:1, (0.25,5]:2, (5,+Inf]:3}");
        assert_eq!(histogram(&NativeHistogram::default()), "{count:0, sum:0}");
    }
}

use proptest::prelude::*;

use super::notation::histogram;
use super::*;

const fn span(offset: i32, length: u32) -> BucketSpan {
    BucketSpan { offset, length }
}

fn float(change: impl FnOnce(&mut NativeHistogram)) -> NativeHistogram {
    let mut made =
        histogram("{{count:6 sum:9 z_bucket:1 z_bucket_w:0.5 buckets:[1 2] n_buckets:[2]}}");
    change(&mut made);
    made
}

fn custom(change: impl FnOnce(&mut NativeHistogram)) -> NativeHistogram {
    let mut made =
        histogram("{{schema:-53 count:6 sum:9 custom_values:[1 2 4] buckets:[1 2 0 3]}}");
    change(&mut made);
    made
}

/// 1, 3, 2 above zero, 2 below, 1 in the zero bucket.
fn integer(change: impl FnOnce(&mut IntegerHistogram)) -> IntegerHistogram {
    let mut made = IntegerHistogram {
        zero_threshold: 0.5,
        zero_count: 1,
        count: 9,
        sum: 4.0,
        positive: DeltaBuckets { spans: vec![span(-1, 2), span(1, 1)], deltas: vec![1, 2, -1] },
        negative: DeltaBuckets { spans: vec![span(0, 1)], deltas: vec![2] },
        ..IntegerHistogram::default()
    };
    change(&mut made);
    made
}

#[track_caller]
fn refused(found: Result<impl std::fmt::Debug, InvalidHistogram>, expected: InvalidHistogram) {
    assert_eq!(found.map(drop), Err(expected));
}

#[test]
fn what_breaks_a_rule_of_both_kinds_of_buckets_is_refused() {
    use HistogramSide::{Negative, Positive};
    for schema in [9, 53, -5, -52, -54, i32::MIN, i32::MAX] {
        refused(float(|it| it.schema = schema).validate(), InvalidHistogram::Schema(schema));
    }
    let offset = |side, number, offset| InvalidHistogram::SpanOffset { side, number, offset };
    let two = |it: &mut BucketCounts| it.spans = vec![span(3, 1), span(-1, 1)];
    refused(float(|it| two(&mut it.positive)).validate(), offset(Positive, 2, -1));
    refused(float(|it| two(&mut it.negative)).validate(), offset(Negative, 2, -1));
    let length = |side, claimed, present| InvalidHistogram::SpanLength { side, claimed, present };
    let huge = |it: &mut BucketCounts| it.spans = vec![span(0, u32::MAX); 3];
    let claimed = 3 * u64::from(u32::MAX);
    refused(float(|it| huge(&mut it.positive)).validate(), length(Positive, claimed, 2));
    refused(float(|it| huge(&mut it.negative)).validate(), length(Negative, claimed, 1));
    refused(float(|it| it.positive.spans.clear()).validate(), length(Positive, 0, 2));
    refused(float(|it| it.positive.counts.clear()).validate(), length(Positive, 2, 0));
    let negative = |side, number, count| InvalidHistogram::NegativeCount { side, number, count };
    refused(float(|it| it.positive.counts[1] = -0.5).validate(), negative(Positive, 2, -0.5));
    refused(float(|it| it.negative.counts[0] = -2.0).validate(), negative(Negative, 1, -2.0));
    refused(custom(|it| it.positive.counts[3] = -2.0).validate(), negative(Positive, 4, -2.0));
    refused(
        float(|it| it.custom_values = vec![1.0]).validate(),
        InvalidHistogram::UnexpectedCustomBounds,
    );
}

#[test]
fn what_breaks_a_rule_of_custom_buckets_is_refused() {
    let offset =
        InvalidHistogram::SpanOffset { side: HistogramSide::Positive, number: 1, offset: -1 };
    refused(custom(|it| it.positive.spans[0].offset = -1).validate(), offset);
    refused(custom(|it| it.zero_count = 1.0).validate(), InvalidHistogram::CustomZeroCount);
    refused(custom(|it| it.zero_threshold = 0.1).validate(), InvalidHistogram::CustomZeroThreshold);
    let negative = |it: &mut NativeHistogram| it.negative.spans = vec![span(0, 0)];
    refused(custom(negative).validate(), InvalidHistogram::CustomNegative);
    let negative = |it: &mut NativeHistogram| it.negative.counts = vec![0.0];
    refused(custom(negative).validate(), InvalidHistogram::CustomNegative);
    let order =
        |number, previous, bound| InvalidHistogram::CustomBoundOrder { number, previous, bound };
    let bounds = |bounds: [f64; 3]| custom(|it| it.custom_values = bounds.to_vec()).validate();
    refused(bounds([1.0, 1.0, 2.0]), order(2, 1.0, 1.0));
    refused(bounds([1.0, 3.0, 2.0]), order(3, 3.0, 2.0));
    refused(bounds([f64::NEG_INFINITY, 3.0, 4.0]), order(1, f64::NEG_INFINITY, f64::NEG_INFINITY));
    refused(bounds([1.0, f64::INFINITY, 2.0]), order(3, f64::INFINITY, 2.0));
    refused(bounds([1.0, 2.0, f64::INFINITY]), InvalidHistogram::CustomBoundInfinite);
    for at in 0..3 {
        let mut with_nan = [1.0, 2.0, 3.0];
        with_nan[at] = f64::NAN;
        let found = bounds(with_nan);
        let is_order = |it: &InvalidHistogram| matches!(it, InvalidHistogram::CustomBoundOrder { number, .. } if *number == at + 1);
        assert!(found.as_ref().is_err_and(is_order), "{found:?}");
    }
    let few = |reach| InvalidHistogram::CustomBoundsTooFew { bounds: 3, reach };
    refused(custom(|it| it.positive.spans[0].offset = 1).validate(), few(5));
    let far = |it: &mut NativeHistogram| {
        it.positive.spans = vec![span(i32::MAX, 2), span(i32::MAX, 2)];
    };
    refused(custom(far).validate(), few(2 * (i32::MAX as u64) + 4));
}

#[test]
fn what_breaks_no_rule_is_accepted() {
    for accepted in [
        float(|_| ()),
        // Sums of floats differ in their last bits, so that the count is not compared.
        float(|it| it.count = 5.0),
        float(|it| it.positive.counts[0] = f64::NAN),
        float(|it| it.positive.spans = vec![span(-7, 1), span(0, 0), span(0, 1)]),
        float(|it| it.positive.spans = vec![span(i32::MIN, 2)]),
        NativeHistogram::default(),
        custom(|_| ()),
        custom(|it| it.positive.spans = vec![span(0, 4)]),
        // No bound at all: one bucket.
        histogram("{{schema:-53 count:2 sum:1 buckets:[2]}}"),
    ] {
        assert_eq!(accepted.validate(), Ok(()), "{accepted:?}");
        assert_eq!(accepted.clone().validated(), Ok(accepted));
    }
}

#[test]
fn integers_are_checked_exactly() {
    use HistogramSide::{Negative, Positive};
    let expected = NativeHistogram {
        zero_threshold: 0.5,
        zero_count: 1.0,
        count: 9.0,
        sum: 4.0,
        positive: BucketCounts {
            spans: vec![span(-1, 2), span(1, 1)],
            counts: vec![1.0, 3.0, 2.0],
        },
        negative: BucketCounts { spans: vec![span(0, 1)], counts: vec![2.0] },
        ..NativeHistogram::default()
    };
    assert_eq!(integer(|_| ()).validated(), Ok(expected.clone()));
    let mismatch = |count| InvalidHistogram::CountMismatch { buckets: 9, count };
    for count in [8, 10, 0, u64::MAX] {
        refused(integer(|it| it.count = count).validated(), mismatch(count));
    }
    // With 2^53 more than the buckets have, f64 would not tell the difference.
    let large = integer(|it| {
        (it.zero_count, it.count) = ((1 << 53) - 8, 1 << 53);
        it.positive.deltas = vec![1, 2, -1];
    });
    assert_eq!(large.clone().validated().map(|it| it.count), Ok(9_007_199_254_740_992.0));
    let buckets = 1 << 53;
    let one_more = IntegerHistogram { count: (1 << 53) + 1, ..large };
    refused(
        one_more.validated(),
        InvalidHistogram::CountMismatch { buckets, count: (1 << 53) + 1 },
    );
    // Observations that are NaN are in no bucket.
    for (count, is_valid) in [(9, true), (12, true), (8, false)] {
        let found = integer(|it| (it.count, it.sum) = (count, f64::NAN)).validated();
        assert_eq!(found.is_ok(), is_valid, "{found:?}");
    }
    let buckets = 9;
    refused(
        integer(|it| (it.count, it.sum) = (8, f64::NAN)).validated(),
        InvalidHistogram::CountTooSmall { buckets, count: 8 },
    );
    let deltas = |deltas: [i64; 3]| integer(|it| it.positive.deltas = deltas.to_vec()).validated();
    let negative = |side, number, count| InvalidHistogram::NegativeCount { side, number, count };
    refused(deltas([1, -2, 3]), negative(Positive, 2, -1.0));
    refused(integer(|it| it.negative.deltas = vec![-1]).validated(), negative(Negative, 1, -1.0));
    refused(
        deltas([i64::MAX, 1, 0]),
        InvalidHistogram::CountOverflow { side: Positive, number: 2 },
    );
    // The sum of the buckets is beyond 64 bits, and does not come out as what the count says.
    let around = (3 * u128::from(i64::MAX as u64) + 3) as u64;
    let found = integer(|it| {
        it.count = around;
        it.positive.deltas = vec![i64::MAX, 0, 0];
    });
    let buckets = 3 * u128::from(i64::MAX as u64) + 3;
    refused(found.validated(), InvalidHistogram::CountMismatch { buckets, count: around });
    let length = InvalidHistogram::SpanLength { side: Positive, claimed: 3, present: 2 };
    refused(integer(|it| it.positive.deltas = vec![1, 2]).validated(), length);
}

#[test]
fn reserved_schemas_are_brought_down_to_the_finest() {
    for schema in [9, 20, 52] {
        let sent = integer(|it| it.schema = schema);
        let found = sent.clone().validated().expect("valid");
        assert_eq!((found.schema, found.count), (8, 9.0));
        // Indices -1, 0 and 2 are in buckets 0, 0 and 1 of every coarser schema.
        assert_eq!(found.positive.indexed().collect::<Vec<_>>(), [(0, 4.0), (1, 2.0)]);
        assert_eq!(found.negative.indexed().collect::<Vec<_>>(), [(0, 2.0)]);
        assert_eq!(found.validate(), Ok(()));
        let floats = float(|it| it.schema = schema).validated().expect("valid");
        assert_eq!((floats.schema, floats.count), (8, 6.0));
    }
    refused(integer(|it| it.schema = 53).validated(), InvalidHistogram::Schema(53));
    refused(float(|it| it.schema = 53).validated(), InvalidHistogram::Schema(53));
    // Spans of more buckets than were sent are found out before.
    let sent = float(|it| (it.schema, it.positive.spans[0].length) = (9, 3));
    let length =
        InvalidHistogram::SpanLength { side: HistogramSide::Positive, claimed: 3, present: 2 };
    refused(sent.validated(), length);
}

#[test]
fn a_stale_marker_is_one_nan() {
    let stale = |sum| NativeHistogram { sum, ..NativeHistogram::default() };
    let marker = f64::from_bits(0x7ff0_0000_0000_0002);
    assert!(stale(marker).is_stale());
    assert!(!stale(f64::NAN).is_stale());
    assert!(!stale(0.0).is_stale());
    assert_eq!(stale(marker), stale(marker));
    assert!(stale(marker).equals(&stale(marker)));
    assert_ne!(stale(marker), stale(f64::NAN));
    assert!(!stale(marker).equals(&stale(f64::NAN)));
    let sent = IntegerHistogram { sum: marker, ..IntegerHistogram::default() };
    assert!(sent.validated().expect("valid").is_stale());
}

#[test]
fn equality_is_of_buckets_and_identity_of_fields() {
    let one = float(|_| ());
    let cut = float(|it| it.positive.spans = vec![span(0, 1), span(0, 0), span(0, 1)]);
    assert!(one.equals(&cut) && one != cut);
    let hint = float(|it| it.reset_hint = CounterResetHint::No);
    assert!(one.equals(&hint) && one != hint);
    for other in [
        float(|it| it.schema = 1),
        float(|it| it.zero_threshold = 0.25),
        float(|it| it.zero_count = -0.0),
        float(|it| it.count = 7.0),
        float(|it| it.sum = 7.0),
        float(|it| it.positive.counts[0] = 2.0),
        float(|it| it.negative.spans[0].offset = 1),
        float(|it| it.negative = BucketCounts::default()),
    ] {
        assert!(!one.equals(&other) && one != other, "{other:?}");
    }
    let other = custom(|it| it.custom_values[2] = 5.0);
    assert!(!custom(|_| ()).equals(&other) && custom(|_| ()) != other);
}

#[test]
fn heap_bytes_are_those_of_its_vectors() {
    assert_eq!(NativeHistogram::default().heap_bytes(), 0);
    let mut one = float(|_| ());
    one.positive.counts = vec![1.0; 10];
    one.positive.spans = vec![span(0, 10)];
    one.negative = BucketCounts::default();
    one.custom_values = Vec::with_capacity(2);
    assert_eq!(one.heap_bytes(), 80 + 16 + 16);
}

#[test]
fn bounds_are_powers_of_two_and_those_between() {
    let bound = bounds::exponential;
    for (index, schema, expected) in [
        (0, 0, 1.0),
        (1, 0, 2.0),
        (-1, 0, 0.5),
        (0, -4, 1.0),
        (1, -4, 65_536.0),
        (-1, -1, 0.25),
        (1, 1, std::f64::consts::SQRT_2),
        (256, 8, 2.0),
        (-256, 8, 0.5),
        (1024, 0, f64::MAX),
        (1025, 0, f64::INFINITY),
        (64, -4, f64::MAX),
        (65, -4, f64::INFINITY),
        (1024 * 256, 8, f64::MAX),
        (1024 * 256 + 1, 8, f64::INFINITY),
        (1023, 0, f64::MAX / 2.0 + f64::powi(2.0, 970)),
        (-1022, 0, f64::MIN_POSITIVE),
        (-1074, 0, f64::from_bits(1)),
        (-1075, 0, 0.0),
        (i64::MAX, 8, f64::INFINITY),
        (i64::MIN, -4, 0.0),
    ] {
        let found = bound(index, schema);
        let is_near = (found - expected).abs() <= 4.0 * f64::EPSILON * expected;
        assert!(found == expected || is_near, "{index} of {schema}: {found:e}, not {expected:e}");
    }
    for schema in 0..=SCHEMA_MAX {
        for index in -1000..1000_i64 {
            let exact = f64::exp2(index as f64 / f64::from(1 << schema));
            let found = bound(index, schema);
            assert!((found / exact - 1.0).abs() < 1e-15, "{index} of {schema}: {found:e}");
            assert!(bound(index - 1, schema) < found);
            if schema > 0 {
                let coarse = bounds::target_index(index, schema, schema - 1);
                assert!(bound(coarse - 1, schema - 1) <= bound(index - 1, schema));
                assert!(bound(coarse, schema - 1) >= found);
            }
        }
    }
}

#[test]
fn buckets_come_in_order_with_their_bounds() {
    let one = float(|it| {
        it.zero_threshold = 0.75;
        it.positive.spans = vec![span(0, 1), span(1, 1)];
    });
    let seen: Vec<_> = one.ascending().map(|it| (it.lower, it.upper, it.count)).collect();
    let expected = [(-1.0, -0.75, 2.0), (-0.75, 0.75, 1.0), (0.75, 1.0, 1.0), (2.0, 4.0, 2.0)];
    assert_eq!(seen, expected);
    let mut back: Vec<_> = one.descending().map(|it| (it.lower, it.upper, it.count)).collect();
    back.reverse();
    assert_eq!(back, expected);
    let ends: Vec<_> = one.ascending().map(|it| (it.has_lower, it.has_upper)).collect();
    assert_eq!(ends, [(true, false), (true, true), (false, true), (false, true)]);
    // Each side by itself is as it was sent.
    let seen: Vec<_> = one.positive_buckets().map(|it| (it.lower, it.upper)).collect();
    assert_eq!(seen, [(0.5, 1.0), (2.0, 4.0)]);
    let seen: Vec<_> = one.negative_buckets().map(|it| (it.lower, it.upper)).collect();
    assert_eq!(seen, [(-1.0, -0.5)]);
    let seen: Vec<_> = custom(|_| ())
        .ascending()
        .map(|it| (it.lower, it.upper, it.has_lower, it.has_upper))
        .collect();
    let expected = [
        (f64::NEG_INFINITY, 1.0, true, true),
        (1.0, 2.0, false, true),
        (2.0, 4.0, false, true),
        (4.0, f64::INFINITY, false, true),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn compact_buckets_are_those_with_observations() {
    let spans = vec![span(-3, 2), span(0, 3), span(4, 0), span(1, 2), span(9, 1)];
    let counts = vec![0.0, -2.0, f64::NAN, 0.0, 1.0, 0.0, 5.0, -0.0];
    let mut one = float(|it| it.positive = BucketCounts { spans, counts });
    one.compact();
    let expected = BucketCounts {
        spans: vec![span(-2, 2), span(1, 1), span(6, 1)],
        counts: vec![-2.0, f64::NAN, 1.0, 5.0],
    };
    assert_eq!(one.positive, expected);
    let mut one = float(|it| it.positive.spans = vec![span(5, 1), span(0, 1)]);
    one.compact();
    assert_eq!(one.positive.spans, [span(5, 2)]);
    let run = BucketCounts::from_indexed((-2..9).map(|index| (index, 1.0)));
    assert_eq!(run.spans, [span(-2, 11)]);
    let mut nothing = float(|it| it.positive.counts = vec![0.0, 0.0]);
    nothing.compact();
    assert_eq!(nothing.positive, BucketCounts::default());
}

#[test]
fn gaps_beyond_32_bits_are_kept() {
    let spans = vec![span(i32::MIN, 1), span(i32::MAX, 1), span(i32::MAX, 1)];
    let mut one = float(|it| it.positive = BucketCounts { spans, counts: vec![1.0, 0.0, 2.0] });
    let ends: Vec<_> = one.positive.indexed().filter(|(_, count)| *count != 0.0).collect();
    one.compact();
    assert_eq!(one.positive.indexed().collect::<Vec<_>>(), ends);
    let mut back: Vec<_> = one.positive.indexed_back().collect();
    back.reverse();
    assert_eq!(back, ends);
    assert_eq!(one.validate(), Ok(()));
}

#[test]
fn hints_of_a_sum_are_what_both_say() {
    use CounterResetHint::{Gauge, No, Unknown, Yes};
    let hint = |reset_hint| float(|it| it.reset_hint = reset_hint);
    for (left, right, expected) in [
        (Yes, Yes, Yes),
        (No, No, No),
        (Yes, No, Unknown),
        (No, Yes, Unknown),
        (Unknown, No, Unknown),
        (Yes, Unknown, Unknown),
        (Gauge, No, Gauge),
        (Yes, Gauge, Gauge),
        (Unknown, Gauge, Gauge),
    ] {
        let mut sum = hint(left);
        assert_eq!(sum.add(&hint(right)), Ok(()));
        assert_eq!(sum.reset_hint, expected, "{left:?} {right:?}");
        let mut difference = hint(left);
        assert_eq!(difference.sub(&hint(right)), Ok(()));
        assert_eq!(difference.reset_hint, left);
    }
    let counted = hint(Unknown);
    let fewer = float(|it| (it.count, it.reset_hint) = (1.0, No));
    assert!(!fewer.detect_reset(&counted));
    assert!(hint(Yes).detect_reset(&counted));
    assert!(!hint(Gauge).detect_reset(&counted));
}

#[test]
fn what_does_not_fit_is_refused_and_unchanged() {
    let mut one = float(|_| ());
    assert_eq!(one.add(&custom(|_| ())), Err(IncompatibleHistograms::Schemas));
    assert_eq!(one.sub(&custom(|_| ())), Err(IncompatibleHistograms::Schemas));
    assert_eq!(one, float(|_| ()));
    let mut one = custom(|_| ());
    let other = custom(|it| it.custom_values[0] = 0.5);
    assert_eq!(one.add(&other), Err(IncompatibleHistograms::Bounds));
    assert_eq!(one.sub(&other), Err(IncompatibleHistograms::Bounds));
    assert_eq!(one, custom(|_| ()));
}

#[test]
fn a_threshold_that_is_nan_ends() {
    let mut one = float(|it| it.zero_threshold = f64::NAN);
    assert_eq!(one.add(&float(|_| ())), Ok(()));
    let mut one = float(|_| ());
    assert_eq!(one.add(&float(|it| it.zero_threshold = f64::NAN)), Ok(()));
    assert_eq!(one.count, 12.0);
}

#[test]
fn nan_observations_are_told_of() {
    let one = histogram("{{count:14 sum:NaN z_bucket:1 z_bucket_w:0.01 buckets:[2 3 4]}}");
    assert_eq!(one.quantile(0.5).nan, Some(NanEffect::Skewed));
    assert_eq!(one.quantile(0.99).nan, Some(NanEffect::Decided));
    assert_eq!(one.fraction(0.0, 1.0).nan, Some(NanEffect::Skewed));
    // The sum is NaN for infinities of both signs, too.
    let one = NativeHistogram { count: 10.0, ..one };
    assert_eq!((one.quantile(0.5).nan, one.fraction(0.0, 1.0).nan), (None, None));
    assert_eq!(float(|_| ()).quantile(0.5).nan, None);
}

/// Buckets of integers as f64, which add up exactly.
fn side() -> impl Strategy<Value = BucketCounts> {
    let spans = prop::collection::vec((0..40_i32, 0..5_u32), 0..4);
    (spans, -60..60_i32).prop_flat_map(|(spans, first)| {
        let mut spans: Vec<_> =
            spans.into_iter().map(|(offset, length)| span(offset, length)).collect();
        if let Some(it) = spans.first_mut() {
            it.offset += first;
        }
        let buckets = spans.iter().map(|it| it.length as usize).sum::<usize>();
        prop::collection::vec((0..1000_u32).prop_map(f64::from), buckets)
            .prop_map(move |counts| BucketCounts { spans: spans.clone(), counts })
    })
}

fn exponential() -> impl Strategy<Value = NativeHistogram> {
    let thresholds = prop::sample::select(vec![0.0, 1e-9, 0.5, 0.7, 1.0, 3.0]);
    (SCHEMA_MIN..=SCHEMA_MAX, thresholds, 0..100_u32, side(), side(), any::<i16>()).prop_map(
        |(schema, zero_threshold, zero_count, positive, negative, sum)| {
            let zero_count = f64::from(zero_count);
            // No bucket is within the zero bucket, or beyond all numbers.
            let outside = |side: BucketCounts| {
                let is_outside = |index| {
                    let bound = bounds::exponential(index, schema);
                    bound > zero_threshold && bound < f64::INFINITY
                };
                BucketCounts::from_indexed(side.indexed().filter(|(index, _)| is_outside(*index)))
            };
            let (positive, negative) = (outside(positive), outside(negative));
            let buckets = positive.counts.iter().chain(&negative.counts).sum::<f64>();
            NativeHistogram {
                schema,
                zero_threshold,
                zero_count,
                count: zero_count + buckets,
                sum: f64::from(sum),
                positive,
                negative,
                ..NativeHistogram::default()
            }
        },
    )
}

/// Anything that a wire could bring.
fn anything() -> impl Strategy<Value = NativeHistogram> {
    let side = || {
        let spans =
            prop::collection::vec((any::<i32>(), prop_oneof![0..9_u32, any::<u32>()]), 0..5);
        let counts = prop::collection::vec(any::<f64>(), 0..9);
        (spans, counts).prop_map(|(spans, counts)| BucketCounts {
            spans: spans.into_iter().map(|(offset, length)| span(offset, length)).collect(),
            counts,
        })
    };
    let schema = prop_oneof![-53..54_i32, any::<i32>(), Just(SCHEMA_CUSTOM)];
    let customs = prop::collection::vec(any::<f64>(), 0..4);
    (schema, any::<[f64; 4]>(), side(), side(), customs).prop_map(
        |(schema, [zero_threshold, zero_count, count, sum], positive, negative, custom_values)| {
            NativeHistogram {
                schema,
                zero_threshold,
                zero_count,
                count,
                sum,
                positive,
                negative,
                custom_values,
                ..NativeHistogram::default()
            }
        },
    )
}

fn in_buckets(it: &NativeHistogram) -> f64 {
    it.ascending().map(|bucket| bucket.count).sum()
}

proptest! {
    #[test]
    fn a_coarser_histogram_has_the_same_observations(one in exponential(), schema in -9..9_i32) {
        let mut coarse = one.clone();
        coarse.reduce_resolution(schema);
        prop_assert_eq!(coarse.schema, schema.clamp(SCHEMA_MIN, one.schema));
        prop_assert_eq!((coarse.count, coarse.sum), (one.count, one.sum));
        prop_assert_eq!((coarse.zero_count, coarse.zero_threshold), (one.zero_count, one.zero_threshold));
        prop_assert_eq!(in_buckets(&coarse), one.count);
        prop_assert_eq!(coarse.validate(), Ok(()));
        // A finer counter that becomes coarser has lost nothing.
        prop_assert!(!coarse.detect_reset(&one));
    }

    #[test]
    fn what_is_added_and_taken_away_leaves_the_same(one in exponential(), other in exponential()) {
        let mut sum = one.clone();
        prop_assert_eq!(sum.add(&other), Ok(()));
        prop_assert_eq!(sum.count, one.count + other.count);
        if one.schema == other.schema || one.zero_threshold == other.zero_threshold {
            prop_assert_eq!(in_buckets(&sum), sum.count);
            prop_assert!(!sum.detect_reset(&one));
        }
        prop_assert_eq!(sum.validate(), Ok(()));
        // Both ways round it is the same, after empty buckets are gone.
        let mut swapped = other.clone();
        prop_assert_eq!(swapped.add(&one), Ok(()));
        sum.compact();
        swapped.compact();
        if one.zero_threshold == other.zero_threshold {
            prop_assert!(sum.equals(&swapped));
        }

        // What is left has the layout of the sum; the first one is brought there.
        let mut left = sum.clone();
        prop_assert_eq!(left.sub(&other), Ok(()));
        left.compact();
        let mut expected = one.clone();
        let nothing = NativeHistogram {
            schema: sum.schema,
            zero_threshold: sum.zero_threshold,
            ..NativeHistogram::default()
        };
        prop_assert_eq!(expected.add(&nothing), Ok(()));
        expected.compact();
        prop_assert_eq!(&left.positive, &expected.positive);
        prop_assert_eq!(&left.negative, &expected.negative);
        prop_assert!(left.equals(&expected), "{:?} {:?}", left, expected);
    }

    #[test]
    fn twice_is_the_sum_with_itself(one in exponential()) {
        let (mut sum, mut product) = (one.clone(), one.clone());
        prop_assert_eq!(sum.add(&one), Ok(()));
        product.multiply(2.0);
        prop_assert!(sum.equals(&product));
        product.divide(2.0);
        prop_assert_eq!(product, one);
    }

    #[test]
    fn quantiles_ascend_and_fractions_are_their_inverse(one in exponential(), share in 0.0..1.0_f64) {
        let value = one.quantile(share).value;
        prop_assert_eq!(value.is_nan(), one.count == 0.0);
        if one.count > 0.0 {
            prop_assert!(one.quantile(share / 2.0).value <= value + value.abs() * 1e-9);
            let fraction = one.fraction(f64::NEG_INFINITY, f64::INFINITY).value;
            prop_assert_eq!(fraction, 1.0);
        }
    }

    #[test]
    fn nothing_panics_whatever_is_sent(one in anything(), other in anything(), value in any::<f64>()) {
        if one.validate().is_ok() {
            prop_assert_eq!(one.clone().validated(), Ok(one.clone()));
        }
        let _ = one.clone().validated();
        let (mut sum, mut difference) = (one.clone(), one.clone());
        let _ = (sum.add(&other), difference.sub(&other), one.equals(&other));
        let _ = (one.detect_reset(&other), one.quantile(value), one.fraction(value, 1.0));
        let _ = (one.stddev(), one.ascending().count(), one.descending().count());
        sum.reduce_resolution(0);
        sum.compact();
        let deltas = |it: &BucketCounts| DeltaBuckets {
            spans: it.spans.clone(),
            deltas: it.counts.iter().map(|count| count.to_bits().cast_signed()).collect(),
        };
        let sent = IntegerHistogram {
            schema: one.schema,
            zero_count: one.zero_count.to_bits(),
            count: one.count.to_bits(),
            sum: one.sum,
            positive: deltas(&one.positive),
            negative: deltas(&one.negative),
            custom_values: one.custom_values,
            ..IntegerHistogram::default()
        };
        let _ = sent.validated();
    }
}

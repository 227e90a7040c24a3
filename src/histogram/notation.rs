//! The notation of Prometheus's unit tests, in which tests write histograms and what Prometheus made of them.

use super::{BucketSpan, CounterResetHint, NativeHistogram};

/// The rows of a table: what stands before and after ` = `.
pub(crate) fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    table.lines().filter_map(|line| line.split_once(" = "))
}

/// The row of this name in a table.
pub(crate) fn row(table: &'static str, name: &str) -> &'static str {
    let found = rows(table).find(|(it, _)| *it == name);
    found.unwrap_or_else(|| panic!("there is no {name}")).1
}

/// A number, such as `1.5E+00` or `+Inf`.
pub(crate) fn number(text: &str) -> f64 {
    text.trim().parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

/// The samples of a series, each still a text: a number, a histogram in `{{…}}`, or `_` for none.
pub(crate) fn samples(series: &str) -> impl Iterator<Item = &str> {
    let mut rest = series.trim();
    std::iter::from_fn(move || {
        let end = match rest.starts_with("{{") {
            true => rest.find("}}").map(|at| at + 2),
            false => rest.find(' '),
        };
        let (sample, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after.trim_start();
        (!sample.is_empty()).then_some(sample)
    })
}

/// A histogram in the notation of Prometheus's unit tests, such as `{{schema:1 count:3 sum:2 buckets:[1 2]}}`.
pub(crate) fn histogram(notation: &str) -> NativeHistogram {
    let mut made = NativeHistogram::default();
    let (mut offset, mut negative_offset) = (0, 0);
    let text = notation.trim().trim_start_matches("{{").trim_end_matches("}}");
    let mut rest = text.trim();
    while let Some((key, after)) = rest.split_once(':') {
        let end =
            if after.starts_with('[') { after.find(']').map(|it| it + 1) } else { after.find(' ') };
        let (value, after) = after.split_at(end.unwrap_or(after.len()));
        rest = after.trim();
        let row = || -> Vec<f64> {
            let inside = value.trim_matches(['[', ']']).split_whitespace();
            inside.map(number).collect()
        };
        let float = || row()[0];
        match key {
            "schema" => made.schema = float() as i32,
            "count" => made.count = float(),
            "sum" => made.sum = float(),
            "z_bucket" => made.zero_count = float(),
            "z_bucket_w" => made.zero_threshold = float(),
            "buckets" => made.positive.counts = row(),
            "n_buckets" => made.negative.counts = row(),
            "offset" => offset = float() as i32,
            "n_offset" => negative_offset = float() as i32,
            "custom_values" => made.custom_values = row(),
            "counter_reset_hint" => {
                made.reset_hint = match value {
                    "gauge" => CounterResetHint::Gauge,
                    "reset" => CounterResetHint::Yes,
                    "not_reset" => CounterResetHint::No,
                    _ => panic!("{notation}"),
                }
            }
            _ => panic!("{notation}: {key}"),
        }
    }
    for (side, offset) in [(&mut made.positive, offset), (&mut made.negative, negative_offset)] {
        if !side.counts.is_empty() {
            side.spans.push(BucketSpan { offset, length: side.counts.len() as u32 });
        }
    }
    made
}

/// A histogram is what Prometheus printed, but for its reset hint.
#[track_caller]
pub(crate) fn assert_printed(found: &NativeHistogram, expected: &NativeHistogram, context: &str) {
    let (mut found, mut expected) = (found.clone(), expected.clone());
    found.compact();
    // The notation has one span a side, with empty buckets between those that are not.
    expected.compact();
    // The bits of a NaN are the machine's affair, and the notation has no zeros, of whichever sign.
    for figure in [&mut found.zero_count, &mut found.count, &mut found.sum] {
        *figure = if figure.is_nan() { f64::NAN } else { *figure + 0.0 };
    }
    assert!(found.equals(&expected), "{context}: {found:?}, Prometheus says {expected:?}");
}

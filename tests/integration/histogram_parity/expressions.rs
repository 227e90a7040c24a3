//! What is asked of both servers.

/// Instant vectors of histograms.
const VECTORS: [&str; 12] = [
    "request_seconds",
    r#"request_seconds{instance="a"}"#,
    "queue_items",
    "size_bytes",
    "changed",
    "odd",
    "rate(request_seconds[2m])",
    "increase(size_bytes[3m])",
    "delta(queue_items[2m])",
    "sum(request_seconds)",
    "avg by (instance) (queue_items)",
    "request_seconds offset 3m",
];

/// What is made of each vector.
const OF_VECTORS: [&str; 16] = [
    "V",
    "histogram_count(V)",
    "histogram_sum(V)",
    "histogram_avg(V)",
    "histogram_stddev(V)",
    "histogram_stdvar(V)",
    "histogram_quantile(0.9, V)",
    "histogram_quantile(0.1, V)",
    "histogram_fraction(0, 2, V)",
    "histogram_fraction(-1, +Inf, V)",
    "sum(V)",
    "avg(V)",
    "count(V)",
    "V * 2.5",
    "-V",
    "V and on (instance) weight",
];

/// Ranges of histograms.
const RANGES: [&str; 6] = [
    "request_seconds[90s]",
    "queue_items[2m]",
    "size_bytes[3m]",
    "changed[4m]",
    "odd[2m]",
    "request_seconds[5m:30s]",
];

/// What is made of each range.
const OF_RANGES: [&str; 16] = [
    "rate(R)",
    "increase(R)",
    "delta(R)",
    "irate(R)",
    "idelta(R)",
    "sum_over_time(R)",
    "avg_over_time(R)",
    "last_over_time(R)",
    "count_over_time(R)",
    "present_over_time(R)",
    "changes(R)",
    "resets(R)",
    "max_over_time(R)",
    "stddev_over_time(R)",
    "deriv(R)",
    "absent_over_time(R)",
];

/// The others.
const SINGLE: [&str; 62] = [
    "request_seconds + request_seconds",
    "request_seconds - request_seconds offset 1m",
    "request_seconds + on (instance) queue_items",
    "request_seconds - on (instance) queue_items",
    "size_bytes + on (instance) request_seconds",
    "size_bytes + size_bytes offset 5m",
    "request_seconds == request_seconds",
    "request_seconds != request_seconds",
    "request_seconds == bool request_seconds",
    "request_seconds != bool request_seconds offset 1m",
    "request_seconds == request_seconds offset 1m",
    "request_seconds > request_seconds",
    "request_seconds == bool 1",
    "request_seconds > 1",
    "1 < bool request_seconds",
    "request_seconds * on (instance) weight",
    "weight * on (instance) request_seconds",
    "request_seconds / on (instance) weight",
    "weight / on (instance) request_seconds",
    "request_seconds + on (instance) weight",
    "request_seconds ^ 2",
    "request_seconds / 0",
    "request_seconds / 3",
    "3 / request_seconds",
    "2 * request_seconds",
    "request_seconds + 1",
    "request_seconds % 2",
    "request_seconds * on (instance) group_left () weight",
    "weight * on (instance) group_right () request_seconds",
    r#"{__name__=~"request_seconds|weight"}"#,
    r#"sum by (instance) ({__name__=~"request_seconds|weight"})"#,
    r#"avg by (instance) ({__name__=~"request_seconds|weight"})"#,
    r#"count by (instance) ({__name__=~"request_seconds|weight"})"#,
    r#"group by (__name__) ({__name__=~"request_seconds|weight"})"#,
    r#"max by (instance) ({__name__=~"request_seconds|weight"})"#,
    r#"min({__name__=~"request_seconds|weight"})"#,
    r#"stddev({__name__=~"request_seconds|weight"})"#,
    r#"quantile(0.5, {__name__=~"request_seconds|weight"})"#,
    r#"topk(2, {__name__=~"request_seconds|weight"})"#,
    r#"bottomk by (instance) (1, {__name__=~"request_seconds|weight"})"#,
    r#"sum({__name__=~"request_seconds|size_bytes"})"#,
    r#"avg({__name__=~"size_bytes"})"#,
    "request_seconds or weight",
    "weight or request_seconds",
    "request_seconds unless on (instance) queue_items",
    "queue_items and on (instance) request_seconds",
    "weight unless on (instance) changed",
    "absent(request_seconds)",
    r#"absent(request_seconds{instance="none"})"#,
    "scalar(changed)",
    r#"scalar(request_seconds{instance="a"})"#,
    "timestamp(request_seconds)",
    "timestamp(request_seconds + request_seconds)",
    r#"label_replace(request_seconds, "host", "$1", "instance", "(.*)")"#,
    "abs(changed)",
    "clamp_max(changed, 3)",
    "histogram_quantile(0.5, both)",
    "histogram_quantile(0.9, rate(both[3m]))",
    "histogram_fraction(0, 1.5, both)",
    "histogram_count(both) or both",
    "sum_over_time(histogram_count(request_seconds)[3m:20s])",
    "max_over_time(histogram_quantile(0.9, rate(request_seconds[1m]))[4m:30s])",
];

/// What has something to say of histograms besides its value, or makes a text of them.
const SPOKEN_OF: [&str; 50] = [
    r#"count_values("v", request_seconds)"#,
    r#"count_values("v", queue_items)"#,
    r#"count_values("v", size_bytes)"#,
    r#"count_values("v", odd)"#,
    r#"count_values("v", changed)"#,
    r#"count_values("v", -2 * request_seconds)"#,
    r#"count_values without (instance) ("v", {__name__=~"changed|weight|queue_items"})"#,
    r#"count_values by (instance) ("v", histogram_count(changed) or changed)"#,
    "sum(changed)",
    "avg((changed))",
    "sum by (instance) (changed) or avg(changed)",
    "sum(size_bytes) + on () avg((size_bytes))",
    r#"sum by (instance) ({__name__=~"size_bytes|request_seconds"})"#,
    r#"avg by (instance) ({__name__=~"queue_items|size_bytes|weight"})"#,
    r#"sum(label_replace(size_bytes, "__name__", "$1", "instance", "(.*)"))"#,
    "stdvar((changed))",
    "stddev by (instance) (changed) + on () group_left () min(changed)",
    "max without (instance) (changed)",
    "quantile(2, (changed))",
    "quantile by (instance) ((0.5), changed)",
    "count(changed) + on () group(changed)",
    "1 + topk(2, changed)",
    "topk(0, changed)",
    "bottomk(time() % 2, (changed))",
    "sum(bottomk by (instance) (1, changed))",
    "-(request_seconds + 1)",
    "(request_seconds) > 1",
    "1 - changed",
    "changed <= bool 1",
    "2 == changed",
    "changed atan2 (changed)",
    "changed / changed",
    "changed != changed offset 1m",
    "(weight) ^ on (instance) (request_seconds)",
    "size_bytes - size_bytes offset 7m",
    "(size_bytes) - on (instance) request_seconds",
    r#"size_bytes + ignoring (instance) group_left () size_bytes{instance="a"}"#,
    r#"weight + on (instance) group_right () ({__name__=~"changed|size_bytes|weight"})"#,
    r#"{__name__=~"changed|size_bytes"} % on (instance) group_left () queue_items"#,
    "sum_over_time((changed + 1)[3m:30s])",
    "1 + sum_over_time(changed[16m:30s]) + max_over_time((changed)[16m:30s])",
    "0 * quantile_over_time((0.5), changed[16m:30s])",
    "0 * quantile_over_time(0.5, changed[16m])",
    "max_over_time(min(changed)[3m:30s])",
    "(changed > 1) + (changed > 1)",
    "(both) * both",
    "histogram_quantile((0.5), (both))",
    "histogram_quantile(2, odd)",
    "histogram_fraction((0), 1, (odd))",
    "histogram_quantile(0.5, rate(odd[2m])) + on () group_left () histogram_quantile(0.99, sum(odd))",
];

/// All expressions.
pub fn all() -> Vec<String> {
    let of = |patterns: &[&str], letter: &str, inner: &[&str]| -> Vec<String> {
        let pairs = patterns.iter().flat_map(|it| inner.iter().map(move |inner| (it, inner)));
        pairs.map(|(pattern, inner)| replaced(pattern, letter, inner)).collect()
    };
    let mut all = of(&OF_VECTORS, "V", &VECTORS);
    all.extend(of(&OF_RANGES, "R", &RANGES));
    all.extend(SINGLE.iter().chain(&SPOKEN_OF).map(|it| (*it).to_owned()));
    all
}

/// A pattern with its letter, a word by itself, replaced.
fn replaced(pattern: &str, letter: &str, inner: &str) -> String {
    let at = pattern
        .match_indices(letter)
        .map(|(at, _)| at)
        .find(|at| !pattern[at + 1..].starts_with(char::is_alphabetic))
        .expect("each pattern has one");
    format!("{}{inner}{}", &pattern[..at], &pattern[at + 1..])
}

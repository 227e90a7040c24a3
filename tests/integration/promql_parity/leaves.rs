//! What generated expressions begin with: selectors of the world's series, and what is known of
//! their values and labels.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::generate::{Kind, quoted};

/// The series of one metric, or of several.
#[derive(Debug)]
pub struct Leaf {
    name: &'static str,
    /// Matchers that may be added.
    matchers: &'static [&'static str],
    pub kind: Kind,
    pub keys: &'static [&'static str],
}

/// Shorter than a scrape, odd, long.
pub const RANGES: [&str; 7] = ["1m", "2m", "5m", "47s", "90", "10m", "14s500ms"];

pub const STEPS: [&str; 5] = ["1m", "", "30s", "45s", "17s"];

const HOST: &[&str] = &["instance", "job"];
const HOSTS: &[&str] =
    &[r#"instance="h1:9100""#, r#"instance=~"h[12].*""#, r#"instance!="h3:9100""#, r#"job!~"x|y""#];
const NUMBERED: &[&str] = &["n", "group"];
const NUMBERS: &[&str] = &[r#"n="1""#, r#"n=~"1|2|3""#, r#"group!="odd""#, r#"n!~"[^4]""#];

const fn leaf(
    name: &'static str,
    matchers: &'static [&'static str],
    kind: Kind,
    keys: &'static [&'static str],
) -> Leaf {
    Leaf { name, matchers, kind, keys }
}

/// Some stand here twice, to come up more often.
pub const LEAVES: [Leaf; 27] = [
    leaf("small", NUMBERS, Kind::Whole, NUMBERED),
    leaf("small", NUMBERS, Kind::Whole, NUMBERED),
    leaf("gauge", NUMBERS, Kind::Exact, NUMBERED),
    leaf("gauge", NUMBERS, Kind::Exact, NUMBERED),
    leaf("wild", NUMBERS, Kind::Wild, NUMBERED),
    leaf("node_load1", HOSTS, Kind::Whole, HOST),
    leaf("node_procs_running", HOSTS, Kind::Whole, HOST),
    leaf("node_uname_info", HOSTS, Kind::Whole, &["instance", "job", "release", "kind"]),
    leaf("node_memory_MemAvailable_bytes", HOSTS, Kind::Exact, HOST),
    leaf("node_memory_MemTotal_bytes", HOSTS, Kind::Whole, HOST),
    leaf("node_context_switches_total", HOSTS, Kind::Exact, HOST),
    leaf(
        "node_cpu_seconds_total",
        &[r#"mode="idle""#, r#"cpu="0""#, r#"instance="h2:9100""#, r#"mode!~"i.*""#],
        Kind::Exact,
        &["instance", "job", "cpu", "mode"],
    ),
    leaf("node_disk_read_bytes_total", HOSTS, Kind::Exact, &["instance", "job", "device"]),
    leaf(
        "node_filesystem_avail_bytes",
        &[r#"fstype=~"ext4|xfs""#],
        Kind::Exact,
        &["instance", "job", "device", "mountpoint", "fstype"],
    ),
    leaf("build_info", &[r#"version=~"v[12]""#], Kind::Whole, &["instance", "job", "version"]),
    leaf("both_a_total", &[], Kind::Exact, &["x"]),
    leaf("both_b_total", &[r#"x=~"1?""#], Kind::Exact, &["x"]),
    leaf("turns_a", &[], Kind::Whole, &["x"]),
    leaf("turns_b", &[], Kind::Whole, &["x"]),
    leaf(r#"__name__=~"turns_.*""#, &[], Kind::Whole, &["x"]),
    leaf(r#"__name__=~"both_._total""#, &[], Kind::Exact, &["x"]),
    leaf(
        "odd",
        &[r#"label=~"new.line|ü.*""#, r#"label!~".*s.*""#, r#"label!='a"b'"#],
        Kind::Whole,
        &["label", "same"],
    ),
    leaf(r#""dotted.metric""#, &[r#""a.b"="1""#, r#""ünï"=~"2|3""#], Kind::Whole, &["a.b", "ünï"]),
    leaf("typed_total", &[], Kind::Exact, &[]),
    leaf("falling", &[], Kind::Exact, &[]),
    leaf("rare", &[], Kind::Whole, &[]),
    leaf("nothing", &[r#"a="1""#], Kind::Whole, &[]),
];

/// A selector of a leaf's series, with matchers or without.
pub fn selector(leaf: &Leaf, random: &mut ChaCha8Rng) -> String {
    let mut matchers: Vec<&str> = Vec::new();
    if !leaf.matchers.is_empty() && random.random_bool(0.4) {
        matchers.push(leaf.matchers[random.random_range(0..leaf.matchers.len())]);
    }
    if quoted(leaf.name) != leaf.name {
        matchers.insert(0, leaf.name);
        return format!("{{{}}}", matchers.join(","));
    }
    match &matchers[..] {
        [] => leaf.name.to_owned(),
        matchers => format!("{}{{{}}}", leaf.name, matchers.join(", ")),
    }
}

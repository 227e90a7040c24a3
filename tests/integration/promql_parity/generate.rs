//! Random expressions over the world's series: mostly well typed, some wrong on purpose.
//!
//! What is generated has one answer. Prometheus hands the rows of most nodes of a range query and
//! of a subquery on in the order of a hash map, another one each time, so that
//! - a sum over such rows may come out an ulp higher or lower, and what is not continuous (floor,
//!   `==`, the label of `count_values`) must not be applied to it: see [`Kind`];
//! - among equal values `topk` takes whichever comes first, so it gets values that all differ.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::leaves::{LEAVES, Leaf, RANGES, STEPS, selector};

/// How deep functions and operators nest.
const DEPTH: u32 = 4;

/// One in so many expressions is spoilt.
const SPOILT: usize = 12;

/// What is known of a vector's values, from which follows what can be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Whole numbers small enough that sums of them are exact in any order.
    Whole,
    /// The same to the bit on both sides, whatever they are.
    Exact,
    /// NaN, infinities and zeros of both signs may be among them. Exact too, but which of two zeros
    /// is the smaller one is not.
    Wild,
    /// May differ in the last bits: only what is continuous follows, and nothing in which leading
    /// digits cancel.
    Rough,
}

/// A random expression.
#[derive(Debug, Clone)]
pub struct Generated {
    /// The expression.
    pub text: String,
    /// What it is made of, each an expression itself.
    pub parts: Vec<String>,
}

/// A vector that is being put together.
#[derive(Debug, Clone)]
struct Vector {
    text: String,
    kind: Kind,
    /// The labels beside the metric name that elements may have.
    keys: BTreeSet<&'static str>,
    /// How tightly its outermost operator binds.
    power: u8,
}

/// Binds tighter than any operator.
const TIGHT: u8 = 9;

/// Makes expressions; the same ones for the same seed.
pub struct Generator {
    random: ChaCha8Rng,
    parts: Vec<String>,
    /// Inside of a subquery, where time counts several times.
    inside: bool,
}

/// So many different expressions.
pub fn expressions(seed: u64, count: usize) -> Vec<Generated> {
    let mut generator = Generator {
        random: ChaCha8Rng::seed_from_u64(seed ^ 0x7065_7270),
        parts: Vec::new(),
        inside: false,
    };
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    while all.len() < count {
        let mut one = generator.expression();
        if all.len() % SPOILT == SPOILT - 1 {
            one.text = generator.spoilt(&one.text);
        }
        if seen.insert(one.text.clone()) {
            all.push(one);
        }
    }
    all
}

fn named(name: &str, arguments: &str) -> String {
    format!("{name}({arguments})")
}

impl Generator {
    fn expression(&mut self) -> Generated {
        self.parts.clear();
        let text = match self.random.random_range(0..20) {
            0 => self.scalar(DEPTH),
            1 => {
                let vector = self.vector(DEPTH - 1);
                let name = self.pick(&["sort", "sort_desc"]);
                named(name, &vector.text)
            }
            2 => self.top(),
            _ => self.vector(DEPTH).text,
        };
        Generated { text, parts: std::mem::take(&mut self.parts) }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.random_range(0..from.len())]
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.random.random_bool(probability)
    }

    /// A number that no sum of samples hits by accident.
    fn number(&mut self) -> String {
        const NUMBERS: [&str; 8] = ["0.37", "2.5", "-1.3", "7.77", "0x1F", "1e3", "17s", "1_000.5"];
        self.pick(&NUMBERS).to_owned()
    }

    fn made(
        &mut self,
        text: String,
        kind: Kind,
        keys: BTreeSet<&'static str>,
        power: u8,
    ) -> Vector {
        self.parts.push(text.clone());
        Vector { text, kind, keys, power }
    }

    fn call(&mut self, text: String, kind: Kind, keys: &BTreeSet<&'static str>) -> Vector {
        self.made(text, kind, keys.clone(), TIGHT)
    }

    fn vector(&mut self, depth: u32) -> Vector {
        if depth == 0 {
            return self.leaf();
        }
        let depth = depth - 1;
        match self.random.random_range(0..100) {
            0..10 => self.leaf(),
            10..28 => self.range(depth),
            28..44 => self.map(depth),
            44..62 => self.aggregate(depth),
            62..84 => self.binary(depth),
            84..89 => self.relabel(depth),
            89..93 => self.absent(depth),
            93..96 => self.histogram(),
            _ => self.calendar(depth),
        }
    }

    fn scalar(&mut self, depth: u32) -> String {
        let text = match self.random.random_range(0..7) {
            0 => "time()".to_owned(),
            1 => "pi()".to_owned(),
            2 if depth > 0 => {
                let vector = self.vector(depth - 1);
                let only = if vector.kind == Kind::Rough { "max" } else { "min" };
                format!("scalar({only}({}))", vector.text)
            }
            3 => {
                format!("({} {} {})", self.number(), self.pick(&["+", "-", "*", "/", "%", "^"]), 3)
            }
            4 => format!("({} {} bool {})", self.number(), self.pick(&["<", ">=", "!="]), 2),
            5 => format!("-{}", self.number().trim_start_matches('-')),
            _ => self.number(),
        };
        self.parts.push(text.clone());
        text
    }

    /// `offset` and `@`.
    fn modifiers(&mut self) -> String {
        if !self.chance(0.25) {
            return String::new();
        }
        let offset = self.pick(&["1m", "37s", "-90s", "400", "7m13s", "-2m"]);
        let at = self.pick(&["1751328000", "1751327123.456", "start()", "end()", "0"]);
        match self.random.random_range(0..4) {
            0 => format!(" @ {at}"),
            1 => format!(" @ {at} offset {offset}"),
            _ => format!(" offset {offset}"),
        }
    }

    fn pick_leaf(&mut self) -> &'static Leaf {
        &LEAVES[self.random.random_range(0..LEAVES.len())]
    }

    fn leaf(&mut self) -> Vector {
        let leaf = self.pick_leaf();
        let text = selector(leaf, &mut self.random) + &self.modifiers();
        let timestamp = self.chance(0.05);
        let text = if timestamp { named("timestamp", &text) } else { text };
        let kind = if timestamp { Kind::Exact } else { leaf.kind };
        self.made(text, kind, leaf.keys.iter().copied().collect(), TIGHT)
    }

    /// A range vector: of series, or a subquery.
    fn source(&mut self, depth: u32) -> Vector {
        if self.inside || depth == 0 || self.chance(0.7) {
            let leaf = self.pick_leaf();
            let (range, modifiers) = (self.pick(&RANGES), self.modifiers());
            let text = format!("{}[{range}]{modifiers}", selector(leaf, &mut self.random));
            let keys = leaf.keys.iter().copied().collect();
            return Vector { text, kind: leaf.kind, keys, power: TIGHT };
        }
        self.inside = true;
        let inner = self.vector(depth - 1);
        self.inside = false;
        let (range, step) = (self.pick(&["5m", "10m", "3m30s"]), self.pick(&STEPS));
        let text = format!("({})[{range}:{step}]{}", inner.text, self.modifiers());
        Vector { text, ..inner }
    }

    fn range(&mut self, depth: u32) -> Vector {
        const CONTINUOUS: [&str; 3] = ["max_over_time", "min_over_time", "last_over_time"];
        const COUNTS: [&str; 2] = ["count_over_time", "present_over_time"];
        const COMPARING: [&str; 2] = ["changes", "resets"];
        const OTHERS: [&str; 12] = [
            "rate",
            "increase",
            "delta",
            "irate",
            "idelta",
            "deriv",
            "avg_over_time",
            "sum_over_time",
            "stddev_over_time",
            "stdvar_over_time",
            "predict_linear",
            "quantile_over_time",
        ];
        let source = self.source(depth);
        let text = &source.text;
        let (name, kind) = match self.random.random_range(0..10) {
            0..2 => (self.pick(&CONTINUOUS), source.kind),
            2 => (self.pick(&COUNTS), Kind::Whole),
            _ if source.kind == Kind::Rough => (self.pick(&CONTINUOUS), source.kind),
            3 => (self.pick(&COMPARING), Kind::Whole),
            _ => (self.pick(&OTHERS), source.kind.max(Kind::Exact)),
        };
        let text = match name {
            "predict_linear" => format!("{name}({text}, {})", self.scalar(0)),
            "quantile_over_time" => format!("{name}({}, {text})", self.scalar(0)),
            _ => named(name, text),
        };
        self.call(text, kind, &source.keys)
    }

    fn map(&mut self, depth: u32) -> Vector {
        const WHOLE: [&str; 5] = ["abs", "ceil", "floor", "round", "sgn"];
        const EXACT: [&str; 3] = ["sqrt", "deg", "rad"];
        // Their implementations differ. Arguments are kept small, where a last bit of difference
        // stays one.
        const ROUGH: [&str; 6] = ["sin", "cos", "atan", "sinh", "asinh", "exp"];
        const OF_POSITIVE: [&str; 3] = ["ln", "log2", "log10"];
        let vector = self.vector(depth);
        let (text, kind) = (&vector.text, vector.kind);
        let (text, kind) = match self.random.random_range(0..10) {
            0 => (named("abs", text), kind),
            1 => {
                let (low, high) = (self.number(), self.scalar(0));
                let function = self.pick(&["clamp_min", "clamp_max", "clamp"]);
                let rest = if function == "clamp" { format!(", {high}") } else { String::new() };
                (format!("{function}({text}, {low}{rest})"), kind.max(Kind::Exact))
            }
            2 => {
                let power = 5;
                let inner = self.enclosed(&vector, power);
                return self.made(format!("-{inner}"), kind, vector.keys.clone(), power);
            }
            _ if kind == Kind::Rough => (named("sqrt", &named("abs", text)), kind),
            3..6 => (named(self.pick(&WHOLE), text), kind),
            6 => (named(self.pick(&EXACT), text), kind.max(Kind::Exact)),
            7 => (format!("round({text}, {})", self.number()), kind.max(Kind::Exact)),
            8 => (format!("{}(({text}) % 10)", self.pick(&ROUGH)), Kind::Rough),
            _ => (format!("{}(2 + abs({text}))", self.pick(&OF_POSITIVE)), Kind::Rough),
        };
        self.call(text, kind, &vector.keys)
    }

    /// `by` or `without` some labels, and those that are left.
    fn clause(&mut self, keys: &BTreeSet<&'static str>) -> (String, BTreeSet<&'static str>) {
        let (listed, others): (BTreeSet<_>, BTreeSet<_>) =
            keys.iter().copied().partition(|_| self.chance(0.5));
        let list = listed.iter().map(|key| quoted(key)).collect::<Vec<_>>().join(", ");
        match self.random.random_range(0..5) {
            0 => (String::new(), BTreeSet::new()),
            1 => (format!("without ({list})"), others),
            _ => (format!("by ({list})"), listed),
        }
    }

    fn aggregate(&mut self, depth: u32) -> Vector {
        let vector = self.vector(depth);
        let (clause, keys) = self.clause(&vector.keys);
        let whole = vector.kind == Kind::Whole;
        let (name, kind) = match self.random.random_range(0..10) {
            0 => ("count", Kind::Whole),
            1 => ("group", Kind::Whole),
            2..4 => (self.pick(&["min", "max"]), vector.kind.max(Kind::Exact)),
            _ if vector.kind == Kind::Rough => (self.pick(&["min", "max"]), Kind::Rough),
            // An overflow on the way depends on the order.
            _ if vector.kind == Kind::Wild => ("quantile", Kind::Rough),
            4..7 => ("sum", if whole { Kind::Whole } else { Kind::Rough }),
            7 => ("avg", if whole { Kind::Exact } else { Kind::Rough }),
            8 if whole => (self.pick(&["stddev", "stdvar", "count_values"]), Kind::Rough),
            _ => ("quantile", Kind::Exact),
        };
        // Which of two zeros is the smallest value shows once something is divided by it.
        let kind =
            if vector.kind == Kind::Wild && kind != Kind::Whole { Kind::Rough } else { kind };
        let parameter = match name {
            "quantile" => {
                format!("{}, ", self.pick(&["0.37", "0.9", "0", "1", "-1", "1.5", "NaN"]))
            }
            "count_values" => "\"value\", ".to_owned(),
            _ => String::new(),
        };
        let arguments = format!("({parameter}{})", vector.text);
        let text = match self.chance(0.5) {
            _ if clause.is_empty() => format!("{name}{arguments}"),
            true => format!("{name} {clause} {arguments}"),
            false => format!("{name} {arguments} {clause}"),
        };
        let mut keys = keys;
        if name == "count_values" {
            keys.insert("value");
        }
        let kind = if name == "count_values" { Kind::Whole } else { kind };
        self.call(text, kind, &keys)
    }

    /// `topk` and `bottomk` of values that all differ.
    fn top(&mut self) -> String {
        let (range, n) = (self.pick(&RANGES), self.random.random_range(0..5));
        let inner = match self.random.random_range(0..4) {
            0 => "gauge".to_owned(),
            1 => "node_memory_MemAvailable_bytes * 1.5".to_owned(),
            2 => format!("avg_over_time(gauge[{range}])"),
            _ => "node_filesystem_avail_bytes{fstype!=\"tmpfs\"} offset 1m".to_owned(),
        };
        let name = self.pick(&["topk", "bottomk"]);
        let clause = self.pick(&["", "by (group, instance) ", "without (n, mountpoint) "]);
        let text = format!("{name} {clause}({n}, {inner})");
        self.parts.push(inner);
        text
    }

    fn relabel(&mut self, depth: u32) -> Vector {
        let vector = self.vector(depth);
        let from: Vec<&str> = vector.keys.iter().copied().collect();
        let from = if from.is_empty() { "nosuch" } else { self.pick(&from) };
        let to = self.pick(&["new", "n", "instance", "ünï.code"]);
        let text = &vector.text;
        let text = match self.random.random_range(0..3) {
            0 => format!(r#"label_join({text}, "{to}", "-", "{from}", "group")"#),
            1 => format!(r#"label_replace({text}, "{to}", "$1x", "{from}", "(.).*")"#),
            _ => format!(r#"label_replace({text}, "{to}", "a${{0}}", "{from}", ".*(1|2)?.*")"#),
        };
        let mut keys = vector.keys.clone();
        keys.insert(to);
        self.call(text, vector.kind, &keys)
    }

    fn absent(&mut self, depth: u32) -> Vector {
        let text = match self.chance(0.5) {
            true => named("absent", &self.vector(depth).text),
            false => named("absent_over_time", &self.source(depth).text),
        };
        self.call(text, Kind::Whole, &BTreeSet::new())
    }

    fn histogram(&mut self) -> Vector {
        const BUCKETS: [&str; 4] = [
            "request_seconds_bucket",
            "odd_bucket",
            "rate(request_seconds_bucket[3m])",
            "sum by (le) (rate(request_seconds_bucket[5m]))",
        ];
        let buckets = self.pick(&BUCKETS);
        let text = match self.random.random_range(0..5) {
            0 => format!("histogram_fraction(0.2, {}, {buckets})", self.pick(&["0.7", "3", "Inf"])),
            1 => {
                named(self.pick(&["histogram_count", "histogram_avg", "histogram_stddev"]), buckets)
            }
            _ => format!("histogram_quantile({}, {buckets})", self.pick(&["0.37", "0.91", "2"])),
        };
        let keys = if buckets.starts_with("sum") { vec![] } else { vec!["instance", "job", "n"] };
        self.call(text, Kind::Rough, &keys.into_iter().collect())
    }

    fn calendar(&mut self, depth: u32) -> Vector {
        const NAMES: [&str; 8] = [
            "minute",
            "hour",
            "day_of_week",
            "day_of_month",
            "day_of_year",
            "days_in_month",
            "month",
            "year",
        ];
        let vector = self.vector(depth);
        let name = self.pick(&NAMES);
        let (text, keys) = match self.random.random_range(0..4) {
            0 => (format!("{name}()"), BTreeSet::new()),
            1 => (format!("vector({})", self.scalar(1)), BTreeSet::new()),
            2 => (named("timestamp", &vector.text), vector.keys),
            _ if vector.kind == Kind::Rough => (format!("{name}()"), BTreeSet::new()),
            _ => (format!("{name}({} * 1e5)", self.enclosed(&vector, 5)), vector.keys),
        };
        let kind = if text.starts_with("vector") { Kind::Rough } else { Kind::Exact };
        self.call(text, kind, &keys)
    }

    /// Put into parentheses unless it binds tighter than the operator around it.
    fn enclosed(&mut self, vector: &Vector, power: u8) -> String {
        if vector.power > power && self.chance(0.9) {
            vector.text.clone()
        } else {
            format!("({})", vector.text)
        }
    }
}

/// A label as it is written in a list.
pub fn quoted(label: &str) -> String {
    let plain = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { label.to_owned() } else { format!("{label:?}") }
}

#[path = "generate_binary.rs"]
mod binary;

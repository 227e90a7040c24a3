//! Operators between random vectors, and expressions that are wrong.

use std::collections::BTreeSet;

use super::*;

/// As in the grammar: the operators, and how tightly they bind.
const ARITHMETIC: [(&str, u8); 7] =
    [("+", 4), ("-", 4), ("*", 5), ("/", 5), ("%", 5), ("atan2", 5), ("^", 6)];
const COMPARISONS: [&str; 6] = ["==", "!=", "<", ">", "<=", ">="];
const COMPARISON_POWER: u8 = 3;

impl Generator {
    pub(super) fn binary(&mut self, depth: u32) -> Vector {
        match self.random.random_range(0..10) {
            0..4 => self.with_scalar(depth),
            4..8 => self.of_vectors(depth),
            _ => self.set(depth),
        }
    }

    fn with_scalar(&mut self, depth: u32) -> Vector {
        let vector = self.vector(depth);
        // A rough value is not subtracted from, nor its bits looked at.
        if vector.kind == Kind::Rough {
            let power = 5;
            let (op, number) = (self.pick(&["*", "/"]), self.number());
            let text = format!("{} {op} {number}", self.enclosed(&vector, power));
            return self.made(text, vector.kind, vector.keys, power);
        }
        let scalar = self.scalar(depth);
        let rough_scalar = scalar.contains("scalar(");
        let (op, power, kind) = if self.chance(0.4) && !rough_scalar {
            let op = self.pick(&COMPARISONS);
            if self.chance(0.4) {
                (format!("{op} bool"), COMPARISON_POWER, Kind::Whole)
            } else {
                (op.to_owned(), COMPARISON_POWER, vector.kind.max(Kind::Exact))
            }
        } else if rough_scalar {
            ("*".to_owned(), 5, Kind::Rough)
        } else {
            let (op, power) = self.pick(&ARITHMETIC);
            (op.to_owned(), power, kind_of(op, vector.kind, Kind::Exact))
        };
        let swap = self.chance(0.3) && !rough_scalar;
        let inner = self.enclosed(&vector, power);
        // A sign binds less tightly than a power.
        let scalar = format!("({scalar})");
        let text =
            if swap { format!("{scalar} {op} {inner}") } else { format!("{inner} {op} {scalar}") };
        self.made(text, kind, vector.keys, power)
    }

    fn of_vectors(&mut self, depth: u32) -> Vector {
        let (left, right) = (self.vector(depth), self.vector(depth));
        let comparison = self.chance(0.3) && left.kind.max(right.kind) != Kind::Rough;
        let rough = left.kind.max(right.kind) == Kind::Rough;
        let (op, power, kind) = if comparison {
            let op = self.pick(&COMPARISONS);
            match self.chance(0.4) {
                true => (format!("{op} bool"), COMPARISON_POWER, Kind::Whole),
                false => (op.to_owned(), COMPARISON_POWER, left.kind.max(right.kind)),
            }
        } else if rough {
            // Not a division: what is rough may be zero of either sign.
            ("*".to_owned(), 5, Kind::Rough)
        } else {
            let (op, power) = self.pick(&ARITHMETIC);
            (op.to_owned(), power, kind_of(op, left.kind, right.kind))
        };
        let (matching, keys) = self.matching(&left, &right);
        let (left, right) = (self.enclosed(&left, power), self.enclosed(&right, power));
        self.made(format!("{left} {op} {matching}{right}"), kind, keys, power)
    }

    /// Which elements belong together: mostly so that there are some and that it is allowed.
    fn matching(&mut self, left: &Vector, right: &Vector) -> (String, BTreeSet<&'static str>) {
        let common: BTreeSet<&'static str> = left.keys.intersection(&right.keys).copied().collect();
        let list = |keys: &BTreeSet<&'static str>| {
            keys.iter().map(|key| quoted(key)).collect::<Vec<_>>().join(", ")
        };
        let on = format!("on ({}) ", list(&common));
        if left.keys == right.keys {
            let matching = if self.chance(0.5) { on } else { String::new() };
            return (matching, common);
        }
        if self.chance(0.2) {
            let apart: BTreeSet<_> = left.keys.symmetric_difference(&right.keys).copied().collect();
            return (format!("ignoring ({}) ", list(&apart)), common);
        }
        let left_is_many = left.keys.len() > right.keys.len();
        let (side, many, one) = match left_is_many {
            true => ("group_left", left, right),
            false => ("group_right", right, left),
        };
        let mut taken: BTreeSet<&'static str> = one.keys.difference(&common).copied().collect();
        if self.chance(0.5) {
            taken.clear();
        }
        let keys = many.keys.union(&taken).copied().collect();
        let empty = taken.is_empty() && self.chance(0.5);
        let included = if empty { " ".to_owned() } else { format!(" ({}) ", list(&taken)) };
        (format!("{on}{side}{included}"), keys)
    }

    fn set(&mut self, depth: u32) -> Vector {
        let (left, right) = (self.vector(depth), self.vector(depth));
        let (op, power) = self.pick(&[("and", 2), ("unless", 2), ("or", 1)]);
        let common: Vec<String> =
            left.keys.intersection(&right.keys).map(|key| quoted(key)).collect();
        let matching = match self.random.random_range(0..3) {
            0 => String::new(),
            1 => format!("on ({}) ", common.join(", ")),
            _ => format!("ignoring ({}) ", self.pick(&["n", "x", "cpu, mode", ""])),
        };
        let kind = if op == "or" { left.kind.max(right.kind) } else { left.kind };
        let keys = if op == "or" {
            left.keys.union(&right.keys).copied().collect()
        } else {
            left.keys.clone()
        };
        let (left, right) = (self.enclosed(&left, power), self.enclosed(&right, power));
        self.made(format!("{left} {op} {matching}{right}"), kind, keys, power)
    }

    /// An expression made wrong, in its types or its letters; now and then it is good all the same.
    pub(super) fn spoilt(&mut self, text: &str) -> String {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let at = self.pick(&places);
        let (before, after) = text.split_at(at);
        match self.random.random_range(0..14) {
            0 => format!("rate({text})"),
            1 => format!("sum({text}, {text})"),
            2 => format!("abs({text}[5m])"),
            3 => format!("topk({text}, small)"),
            4 => format!("({text}) + bool small"),
            5 => format!("({text}) and 1"),
            6 => format!("({text}) or on () group_left small"),
            7 => format!("nosuch({text})"),
            8 => format!("({text}) offset 1m"),
            9 => before.to_owned(),
            10 => after.to_owned(),
            11 => {
                format!("{before}{}{after}", self.pick(&["(", ")", "[", "}", ",", "\"", "by", "@"]))
            }
            12 => format!("{before}{after}", after = after.chars().skip(1).collect::<String>()),
            _ => format!(r#"label_replace({text}, "a", "$1", "instance", "(")"#),
        }
    }
}

fn kind_of(op: &str, left: Kind, right: Kind) -> Kind {
    match op {
        // Implementations differ.
        "atan2" | "^" => Kind::Rough,
        _ => left.max(right).max(Kind::Exact),
    }
}

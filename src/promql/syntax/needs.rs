//! Needs: the series without which an expression has no value.
//!
//! Of an expression alone, without a store: a doctor asks a server whether it has them.

use crate::matcher::Selector;

use super::expr::Expr;
use super::operator::SetOp;
use super::tree::{Binary, Node, Source};

/// Ways of one expression, at most. Each `or` doubles them where it is a part of arithmetic; those for
/// kernels and systems of the built-in profile come to four.
const MAX_WAYS: usize = 64;

impl Expr {
    /// The ways in which a value may come about, in the order in which they are written: for each, the
    /// selectors that must all have series. `a or b` has two, `absent(a)` one that needs nothing.
    #[must_use]
    pub fn ways(&self) -> Vec<Vec<Selector>> {
        self.root().ways()
    }

    /// The selectors whose samples are compared with one another, as by `rate`, which needs two of them
    /// in its range; each with the shortest such range, in milliseconds.
    #[must_use]
    pub fn differences(&self) -> Vec<(Selector, i64)> {
        let mut found = Vec::new();
        self.root().add_differences(&mut found);
        found
    }
}

impl Node {
    fn ways(&self) -> Vec<Vec<Selector>> {
        match self {
            Self::Select { selector, .. } | Self::SampleTime { selector, .. } => {
                vec![vec![selector.clone()]]
            }
            Self::Absent { .. } | Self::AbsentOverTime { .. } => vec![Vec::new()],
            Self::Set { op: SetOp::Or, left, right, .. } => {
                let mut ways = left.ways();
                for way in right.ways() {
                    if !ways.contains(&way) && ways.len() < MAX_WAYS {
                        ways.push(way);
                    }
                }
                ways
            }
            Self::Set { op: SetOp::Unless, left, .. } => left.ways(),
            Self::Set { op: SetOp::And, left, right, .. }
            | Self::Binary(Binary { left, right, .. }) => both(left.ways(), &right.ways()),
            Self::Range { source, .. } => {
                let read = match source {
                    Source::Series { selector, .. } => vec![vec![selector.clone()]],
                    Source::Subquery { inner, .. } => inner.ways(),
                };
                self.children().into_iter().fold(read, |ways, it| both(ways, &it.ways()))
            }
            _ => {
                let nothing = vec![Vec::new()];
                self.children().into_iter().fold(nothing, |ways, it| both(ways, &it.ways()))
            }
        }
    }

    fn add_differences(&self, found: &mut Vec<(Selector, i64)>) {
        match self {
            Self::Range { function, source: Source::Series { selector, range_ms, .. }, .. }
                if function.compares() =>
            {
                match found.iter_mut().find(|(other, _)| other == selector) {
                    Some((_, shortest_ms)) => *shortest_ms = (*range_ms).min(*shortest_ms),
                    None => found.push((selector.clone(), *range_ms)),
                }
            }
            Self::Range { source: Source::Subquery { inner, .. }, .. }
            | Self::AbsentOverTime { source: Source::Subquery { inner, .. }, .. } => {
                inner.add_differences(found);
            }
            _ => {}
        }
        self.children().into_iter().for_each(|it| it.add_differences(found));
    }
}

/// Every way of the one with every way of the other.
fn both(ways: Vec<Vec<Selector>>, others: &[Vec<Selector>]) -> Vec<Vec<Selector>> {
    let pairs = ways.iter().flat_map(|way| others.iter().map(move |other| (way, other)));
    let joined = pairs.map(|(way, other)| {
        let mut all = way.clone();
        all.extend(other.iter().filter(|it| !way.contains(it)).cloned());
        all
    });
    joined.take(MAX_WAYS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::profile;

    #[track_caller]
    fn check(text: &str, ways: &[&[&str]], differences: &[(&str, i64)]) {
        let expr = Expr::parse(text).expect("a good expression");
        let name = |it: &Selector| it.metric_name().unwrap_or("").to_owned();
        let found: Vec<Vec<String>> =
            expr.ways().iter().map(|way| way.iter().map(name).collect()).collect();
        assert_eq!(found, ways, "{text}");
        let found = expr.differences();
        let found: Vec<(String, i64)> = found.iter().map(|(it, ms)| (name(it), *ms)).collect();
        let expected: Vec<(String, i64)> =
            differences.iter().map(|(it, ms)| ((*it).to_owned(), *ms)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn what_must_be_there_together_and_what_instead() {
        check("a / b", &[&["a", "b"]], &[]);
        check("a or b", &[&["a"], &["b"]], &[]);
        check("(a or b) / (c or d)", &[&["a", "c"], &["a", "d"], &["b", "c"], &["b", "d"]], &[]);
        check("a and on (x) (b > 0)", &[&["a", "b"]], &[]);
        check("a unless b", &[&["a"]], &[]);
        check("absent(a) + time()", &[&[]], &[]);
        check("sum by (x) (rate(a[2m])) / a", &[&["a"]], &[("a", 120_000)]);
        check("increase(a[10m]) + rate(a[1m])", &[&["a"]], &[("a", 60_000)]);
        check("max_over_time(rate(a[1m])[1h:])", &[&["a"]], &[("a", 60_000)]);
        check("avg_over_time(a[1m]) or vector(0)", &[&["a"], &[]], &[]);
    }

    #[test]
    fn the_built_in_features_have_few_ways() {
        for spec in profile() {
            let ways = Expr::parse(&spec.expr).expect("a good expression").ways();
            assert!((1..MAX_WAYS).contains(&ways.len()), "{}: {}", spec.name, ways.len());
        }
    }
}

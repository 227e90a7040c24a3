//! A query: what a user asks for once, at an instant or over a range of them.
//!
//! Unlike a feature it may fix times by `@`, and be a bare range or a string as a whole.

use std::sync::Arc;

use crate::labels::Labels;
use crate::matcher::Selector;
use crate::promql::syntax::error::ParseError;
use crate::promql::syntax::expr::Expr;
use crate::promql::syntax::operand::Value;
use crate::promql::syntax::parser;
use crate::promql::syntax::reach::{self, Instants, Reach};
use crate::promql::syntax::site::Site;
use crate::promql::syntax::tree::{LOOKBACK_MS, Node, Source};
use crate::promql::syntax::when::When;
use crate::sample::{HistogramSample, Sample};
use crate::series::Store;

use super::annotation::{Annotations, Notes};
use super::bind::{Builder, Wanted};
use super::conflict::OnConflict;
use super::context::Context;
use super::error::EvalError;
use super::frame::Frame;
use super::layout::Versions;
use super::range::Samples;

/// A query as a user types it.
#[derive(Debug, Clone)]
pub enum Query {
    /// It has a value at an instant.
    Instant(Expr),
    /// It is a range vector: `up[5m]`, `rate(x[1m])[5m:1m]`.
    Range(RangeSelection),
    /// It is a string.
    Text(String),
    /// It is one of the first two and has no value, whatever the series: a name or a pattern that a function
    /// is given is none. Prometheus finds that out when it evaluates it.
    Failed {
        /// Why.
        error: EvalError,
        /// It is a range vector.
        is_range: bool,
    },
}

/// A range vector as a whole query.
#[derive(Debug, Clone)]
pub struct RangeSelection {
    pub(super) source: Source,
    text: Arc<str>,
    sites: Arc<[Site]>,
}

/// A series of a range vector, with its samples.
#[derive(Debug)]
pub struct RangeRow {
    /// The labels of the series.
    pub labels: Labels,
    /// Its floats, oldest first.
    pub samples: Vec<Sample>,
    /// Its native histograms, oldest first.
    pub histograms: Vec<HistogramSample>,
}

/// Why a text is not a selector.
#[derive(Debug, thiserror::Error)]
pub enum SelectorError {
    /// It is not PromQL.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// It is PromQL, but not a bare selector.
    #[error("{0:?} is not a bare selector such as `up{{job=\"node\"}}`")]
    Other(String),
}

impl Query {
    /// Reads a query; `@ start()` and `@ end()` mean the times that are given.
    ///
    /// # Errors
    /// When it is not PromQL, uses something that is not supported, or is too large.
    pub fn parse(text: &str, start_ms: i64, end_ms: i64) -> Result<Self, ParseError> {
        let parsed = parser::query(text, (start_ms, end_ms))
            .map_err(|fault| ParseError::new(text, fault))?;
        let (value, sites) = (parsed.whole.value, parsed.sites);
        if let Some(reason) = parsed.failed {
            let error = EvalError::Argument(reason);
            return Ok(Self::Failed { error, is_range: matches!(value, Value::Range(_)) });
        }
        Ok(match value {
            Value::Instant(root) => Self::Instant(Expr::new(text, root, sites)),
            Value::Range(source) => {
                Self::Range(RangeSelection { source, text: text.into(), sites: sites.into() })
            }
            Value::Text(string) => Self::Text(string),
        })
    }

    /// The selectors with what is read of them. A selector occurs once for all that is relative to
    /// the instant of evaluation, and once for each stretch fixed by `@`.
    #[must_use]
    pub fn reaches(&self) -> Vec<(Selector, Reach)> {
        let mut found = Vec::new();
        self.visit_reaches(LOOKBACK_MS, &mut |selector, reach| {
            reach::add(&mut found, selector, reach);
        });
        found
    }

    /// The selectors with how far back their series must be kept, that an evaluation at the present
    /// is right. What an instant selector looks back in search of a sample is not part of it, nor
    /// is what `@` fixes.
    #[must_use]
    pub fn lookbacks(&self) -> Vec<(Selector, i64)> {
        let mut found: Vec<(Selector, i64)> = Vec::new();
        self.visit_reaches(0, &mut |selector, reach| {
            let back_ms = match reach {
                Reach::Around { back_ms, .. } => back_ms.max(0),
                Reach::Between { .. } => 0,
            };
            match found.iter_mut().find(|(other, _)| other == selector) {
                Some((_, longest_ms)) => *longest_ms = back_ms.max(*longest_ms),
                None => found.push((selector.clone(), back_ms)),
            }
        });
        found
    }

    /// Whether an evaluation at one instant takes little of each series: no more than an instant selector
    /// looks at, and no subquery.
    #[must_use]
    pub fn is_light(&self) -> bool {
        let has_subquery = match self {
            Self::Instant(expr) => expr.root().has_subquery(),
            Self::Range(range) => range.source.is_subquery(),
            Self::Text(_) | Self::Failed { .. } => false,
        };
        let is_short = |(_, reach): &(Selector, Reach)| match reach {
            Reach::Around { back_ms, ahead_ms } => back_ms.saturating_add(*ahead_ms) <= LOOKBACK_MS,
            Reach::Between { from_ms, to_ms } => to_ms.saturating_sub(*from_ms) <= LOOKBACK_MS,
        };
        !has_subquery && self.reaches().iter().all(is_short)
    }

    fn visit_reaches(&self, instant_ms: i64, visit: &mut impl FnMut(&Selector, Reach)) {
        match self {
            Self::Instant(expr) => expr.root().visit_reaches(Instants::ONE, instant_ms, visit),
            Self::Range(range) => range.source.visit_reaches(Instants::ONE, instant_ms, visit),
            Self::Text(_) | Self::Failed { .. } => {}
        }
    }
}

/// Reads a selector of series, such as `up{job="node"}`, without range, `offset` or `@`.
///
/// # Errors
/// When it is anything else.
pub fn parse_selector(text: &str) -> Result<Selector, SelectorError> {
    let expr = Expr::parse(text)?;
    match expr.root() {
        Node::Select { selector, when } if *when == When::default() => Ok(selector.clone()),
        _ => Err(SelectorError::Other(text.to_owned())),
    }
}

/// The samples of a range vector at an instant, by series; stale markers and series without a
/// sample are left out. `go_on` is asked between nodes and between the steps of a subquery; once it
/// has said no it must not say yes again.
///
/// # Errors
/// When label sets do not allow the operations inside of a subquery, or `go_on` says no.
pub fn select_range(
    range: &RangeSelection,
    store: &mut Store,
    time_ms: i64,
    go_on: &dyn Fn() -> bool,
) -> Result<(Vec<RangeRow>, Annotations), EvalError> {
    let mut notes = Notes::new(Arc::clone(&range.text), Arc::clone(&range.sites));
    let wanted = Wanted::of_range(&range.source);
    let mut memberships = wanted.register(store);
    let mut versions = Versions::default();
    let mut builder = Builder::new(&wanted, &range.sites, &mut versions, []);
    let mut samples = builder.samples(&range.source);
    let mut frame = builder.finish();
    for membership in &mut memberships {
        membership.refresh(store, &mut versions);
    }
    let step_epoch = versions.next();
    let mut cx = Context {
        store,
        memberships: &memberships,
        births: 0,
        versions: &mut versions,
        go_on,
        notes: Some(&mut notes),
        on_conflict: OnConflict::Fail,
        time_ms,
        step_epoch,
        run_epoch: step_epoch,
    };
    let selected = copies(&mut frame, &mut samples, &mut cx);
    for membership in memberships {
        store.release(membership.id);
    }
    Ok((selected?, notes.annotations()))
}

fn copies(
    frame: &mut Frame,
    samples: &mut Samples,
    cx: &mut Context,
) -> Result<Vec<RangeRow>, EvalError> {
    frame.eval(cx)?;
    let layout = Arc::clone(samples.layout(cx, frame.inputs())?);
    let window = samples.window(cx.time_ms);
    let mut selected = Vec::new();
    samples.each(cx, frame.inputs(), &window, |i, samples, histograms| {
        if !samples.is_empty() || !histograms.is_empty() {
            let (samples, histograms) = (samples.to_vec(), histograms.to_vec());
            selected.push(RangeRow { labels: layout.labels[i].clone(), samples, histograms });
        }
    })?;
    Ok(selected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, Reach)]) {
        let query = Query::parse(text, 1_000_000, 2_000_000).expect("a good query");
        let got: Vec<(String, Reach)> =
            query.reaches().into_iter().map(|(s, r)| (s.to_string(), r)).collect();
        let name = |name: &str| format!("{{__name__={name:?}}}");
        let expected: Vec<(String, Reach)> =
            expected.iter().map(|(text, reach)| (name(text), *reach)).collect();
        assert_eq!(got, expected, "{text}");
    }

    fn around(back_ms: i64, ahead_ms: i64) -> Reach {
        Reach::Around { back_ms, ahead_ms }
    }

    fn between(from_ms: i64, to_ms: i64) -> Reach {
        Reach::Between { from_ms, to_ms }
    }

    #[test]
    fn reaches_around_the_instant() {
        check("a", &[("a", around(300_000, 0))]);
        check("a offset 10s", &[("a", around(310_000, -10_000))]);
        check("a offset -10s", &[("a", around(290_000, 10_000))]);
        check("rate(a[1m]) + a offset -10s", &[("a", around(290_000, 10_000))]);
        check("rate(a[1m]) + a offset 1h", &[("a", around(3_900_000, 0))]);
        check("a[1m]", &[("a", around(60_000, 0))]);
        check("rate(a[1m]) / b", &[("a", around(60_000, 0)), ("b", around(300_000, 0))]);
        check("time()", &[]);
        check("'text'", &[]);
    }

    #[test]
    fn reaches_through_subqueries() {
        // The first instant inside is at least a millisecond after the start of the range.
        check("max_over_time(a[1h:1m])", &[("a", around(3_899_999, 0))]);
        check("rate(a[1m])[1h:1m] offset 1h", &[("a", around(7_259_999, -3_600_000))]);
        check(
            "max_over_time((a offset -5m)[10m:1m] offset 1m)",
            &[("a", around(659_999, 240_000))],
        );
        check(
            "sum_over_time(max_over_time(a[1m:1s] offset 1s)[1h:1m] offset 1h)",
            &[("a", around(3_600_000 + 3_599_999 + 1_000 + 59_999 + 300_000, -3_601_000))],
        );
    }

    #[test]
    fn lookbacks_are_what_must_be_kept() {
        let query = "a + rate(b[2m] offset 1m) + max_over_time(c[1h:1m]) + rate(d[1h] @ 5)";
        let expected = [("a", 0), ("b", 180_000), ("c", 3_599_999), ("d", 0)];
        let query = Query::parse(query, 0, 0).expect("a good query");
        let got: Vec<(String, i64)> =
            query.lookbacks().into_iter().map(|(s, ms)| (s.to_string(), ms)).collect();
        assert_eq!(got, expected.map(|(name, ms)| (format!("{{__name__={name:?}}}"), ms)));
    }

    #[test]
    fn a_light_query_reads_five_minutes_and_has_no_subquery() {
        let is_light = |text: &&&str| Query::parse(text, 0, 0).expect("a good query").is_light();
        let light = [
            "1",
            "'x'",
            "up",
            "up[5m]",
            "sum(rate(a[5m])) / b",
            "rate(a[1m] offset 1d)",
            "a @ 9",
            "absent_over_time(a[1m])",
        ];
        let heavy = [
            "a[6m]",
            "rate(a[1h])",
            "a - a offset 1h",
            "sum_over_time(vector(1)[9s:1s])",
            "a[1m:1s]",
            "1 + sum(max_over_time(a[1m:1m]))",
            "absent_over_time(a[2m:1m])",
        ];
        assert_eq!(light.iter().filter(is_light).count(), light.len());
        assert_eq!(heavy.iter().filter(is_light).count(), 0);
    }

    #[test]
    fn a_selector_is_bare() {
        let selector = parse_selector(r#"up{job="node"}"#).expect("a selector");
        assert_eq!(selector.to_string(), r#"{__name__="up",job="node"}"#);
        for text in ["up offset 1m", "-up", "1", "sum(up)"] {
            assert!(matches!(parse_selector(text), Err(SelectorError::Other(_))), "{text}");
        }
        for text in ["up[5m]", "up{", "{}"] {
            assert!(matches!(parse_selector(text), Err(SelectorError::Parse(_))), "{text}");
        }
    }

    #[test]
    fn reaches_that_are_fixed() {
        check("a @ 500", &[("a", between(200_000, 500_000))]);
        check("a @ -5", &[("a", between(-305_000, -5_000))]);
        check("a[1m] @ start()", &[("a", between(940_000, 1_000_000))]);
        check("a @ end() offset -1m", &[("a", between(1_760_000, 2_060_000))]);
        check("a offset 1m @ end()", &[("a", between(1_640_000, 1_940_000))]);
        check("max_over_time(a[1m:1s] @ 600 offset 1s)", &[("a", between(239_001, 599_000))]);
        check("max_over_time((a @ 600)[1m:1s] @ 10)", &[("a", between(300_000, 600_000))]);
        // Prometheus forgets the offset here, but for what it fetches.
        check("timestamp(a @ 600 offset 1m)", &[("a", between(300_000, 540_000))]);
        check("timestamp(a @ 600 offset -1m)", &[("a", between(360_000, 600_000))]);
        check("timestamp(a @ 600 offset 1h)", &[("a", between(-3_000_000, -3_000_000))]);
        check(
            "a @ 500 + a + a @ 500 + rate(a[10m])",
            &[("a", between(200_000, 500_000)), ("a", around(600_000, 0))],
        );
    }
}

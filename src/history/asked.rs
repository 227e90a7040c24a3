//! What a server is asked: the features' own expressions, and what serving knows beside them.
//!
//! In: features and the entity labels. Out: for each feature the text to ask for and one for where
//! label sets clash, and one text for the times of samples. Serving sees in its rings that a series has ended and when samples were
//! taken; a server has to be asked. Two weeks of that cost one query more.
//!
//! A feature's ranges still return something for a while when their series have ended; serving leaves
//! that out (see [`crate::features::FeatureSet`]), and `and on (...) selector` does here. What does not
//! parse, as a server may know more than PromQL, is asked as it is.

use super::Query;
use crate::matcher::Selector;
use crate::promql::Expr;

/// How far back samples are looked for beside the longest range: as far as an instant selector looks.
const BESIDE_MS: i64 = crate::promql::LOOKBACK_MS;

/// The texts that a server is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// For each feature.
    pub features: Vec<String>,
    /// For each feature the text for where label sets clash, if it has one; see
    /// [`Expr::lenient_text`].
    pub lenient: Vec<Option<String>>,
    /// When the newest sample of each entity was taken, in seconds since 1970. Nothing where no
    /// selector has a metric name, as series of several names cannot be told apart without.
    pub sightings: Option<String>,
    /// How far before the first step samples count.
    pub reach_ms: i64,
}

impl Asked {
    pub fn new(query: &Query) -> Self {
        let entity = query.entity.join(", ");
        let exprs: Vec<Option<Expr>> =
            query.features.iter().map(|it| Expr::parse(&it.expr).ok()).collect();
        let guarded = |text: &str, expr: &Option<Expr>| match expr {
            Some(expr) if !expr.is_common() => guarded(text, expr, &entity),
            _ => text.to_owned(),
        };
        let features = query.features.iter().zip(&exprs);
        let features = features.map(|(spec, expr)| guarded(&spec.expr, expr));
        let lenient = exprs.iter().map(|expr| {
            let text = expr.as_ref()?.lenient_text()?;
            Some(guarded(&text, expr))
        });
        let own: Vec<&Expr> = exprs.iter().flatten().filter(|it| !it.is_common()).collect();
        let longest_ms = own.iter().map(|it| it.range_ms()).max().unwrap_or(0);
        let mut selectors: Vec<Selector> = Vec::new();
        for (selector, _) in own.iter().flat_map(|it| it.selectors()) {
            if selector.metric_name().is_some() && !selectors.contains(&selector) {
                selectors.push(selector);
            }
        }
        let times: Vec<String> = selectors.iter().map(|it| format!("timestamp({it})")).collect();
        Self {
            features: features.collect(),
            lenient: lenient.collect(),
            sightings: (!times.is_empty())
                .then(|| format!("max by ({entity}) ({})", times.join(" or "))),
            reach_ms: longest_ms.saturating_add(BESIDE_MS),
        }
    }
}

/// An expression without the elements whose ranges read series that have ended.
fn guarded(text: &str, expr: &Expr, entity: &str) -> String {
    let windows = expr.windows();
    if windows.is_empty() {
        return text.to_owned();
    }
    // A comment may end the text.
    let guards = windows.iter().map(|(selector, _)| format!(" and on ({entity}) {selector}"));
    format!("({text}\n){}", guards.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::FeatureSpec;
    use crate::history::{Exclusions, HistoryConfig, Source};

    fn asked(exprs: &[&str]) -> Asked {
        Asked::new(&Query {
            source: Source::Csv("none".into()),
            features: exprs.iter().map(|it| FeatureSpec::new("f", *it)).collect(),
            entity: vec!["job".to_owned(), "instance".to_owned()],
            exclude: Exclusions::default(),
            config: HistoryConfig::default(),
        })
    }

    #[test]
    fn ranges_ask_whether_their_series_go_on() {
        let asked =
            asked(&["rate(a[2m]) / b", "b", "sum(rate(a[2m]))", "hour()", "rate(a[2m]) or b"]);
        assert_eq!(
            asked.features,
            [
                "(rate(a[2m]) / b\n) and on (job, instance) {__name__=\"a\"}",
                "b",
                "sum(rate(a[2m]))",
                "hour()",
                "rate(a[2m]) or b",
            ]
        );
        let expected =
            "max by (job, instance) (timestamp({__name__=\"a\"}) or timestamp({__name__=\"b\"}))";
        assert_eq!(asked.sightings.as_deref(), Some(expected));
        assert_eq!(asked.reach_ms, 120_000 + BESIDE_MS);
        asked
            .features
            .iter()
            .chain(&asked.sightings)
            .for_each(|it| drop(Expr::parse(it).expect(it)));
    }

    #[test]
    fn where_label_sets_clash_the_same_guard_stands_around_another_text() {
        let asked = asked(&["rate(a[2m]) / on (job) sum by (job) (b)", "a / b", "rollup(a[2m])"]);
        let rate = r#"rate({__name__="a"}[120000ms])"#;
        let text = format!(
            "((({rate}) and on (job) (count by (job) ({rate}) == 1)) / on (job) \
             (sum by (job) ({{__name__=\"b\"}}))\n) and on (job, instance) {{__name__=\"a\"}}"
        );
        assert_eq!(asked.lenient, [Some(text), None, None]);
        let at = asked.features[0].find("\n) and on").expect("a guard");
        assert!(asked.lenient[0].as_ref().expect("a text").ends_with(&asked.features[0][at..]));
    }

    #[test]
    fn what_does_not_parse_or_has_no_name_is_asked_as_it_is() {
        let asked = asked(&["rollup(a[2m])", r#"{job="x"}"#]);
        assert_eq!(asked.features, ["rollup(a[2m])", r#"{job="x"}"#]);
        assert_eq!(asked.sightings, None);
    }
}

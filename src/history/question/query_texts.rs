//! The texts that a server is asked: the features' own, with what serving knows beside them.
//!
//! In: features and the entity labels. Out: for each feature the text to ask for and another one for steps at
//! which label sets clash, and one text for the times of samples. Serving sees in its rings that a series has
//! ended and when samples were taken; a server must be asked for that.
//!
//! A feature's ranges still return something for a while when their series have ended. Serving leaves that
//! out (see [`crate::features::FeatureSet`]), and so does `and on (...) selector` here. Where the selector's
//! series need not be the entity's own, as in `a / on () group_left sum(rate(b[2m]))`, an entity that has
//! none has lost none: there, only entities with some in the range and none now are left out. What does not
//! parse is asked as it is, as a server may know more than PromQL.

use super::query::HistoryQuery;
use crate::matcher::Selector;
use crate::promql::Expr;

/// How far back samples are looked for beside the longest range: as far as an instant selector looks.
const BESIDE_MS: i64 = crate::promql::LOOKBACK_MS;

/// The texts that a server is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueryTexts {
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

impl QueryTexts {
    pub fn new(query: &HistoryQuery) -> Self {
        let entity = query.entity.join(", ");
        let exprs: Vec<Option<Expr>> =
            query.features.iter().map(|it| Expr::parse(&it.expr).ok()).collect();
        let guarded = |text: &str, expr: &Option<Expr>| match expr {
            Some(expr) if !expr.is_common() => guarded(text, expr, &query.entity),
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

/// An expression without the elements whose ranges read series of the entity that have ended.
fn guarded(text: &str, expr: &Expr, entity: &[String]) -> String {
    let windows = expr.windows();
    if windows.is_empty() {
        return text.to_owned();
    }
    let labels = entity.join(", ");
    let guards = windows.iter().map(|(selector, back_ms)| match is_own(expr, selector, entity) {
        true => format!(" and on ({labels}) {selector}"),
        false => format!(
            " unless on ({labels}) (last_over_time({selector}[{back_ms}ms]) \
             unless on ({labels}) {selector})"
        ),
    });
    // A comment may end the text.
    format!("({text}\n){}", guards.collect::<String>())
}

/// Whether an element can only be made of series of the selector that are of the same entity: who wants
/// some entities alone reads no other ones of it then.
fn is_own(expr: &Expr, selector: &Selector, entity: &[String]) -> bool {
    entity.iter().all(|label| {
        let narrowed = expr.only(label, &["any"]).and_then(|text| Expr::parse(&text).ok());
        narrowed.is_some_and(|it| it.windows().iter().all(|(other, _)| other != selector))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use crate::features::{FeatureSet, FeatureSpec, Features};
    use crate::history::{Exclusions, HistoryConfig, Source};
    use crate::labels::Labels;
    use crate::promql::{Plan, Value};
    use crate::sample::{Batch, BatchSeries, STALE_NAN_BITS, Sample};
    use crate::series::{StorageConfig, Store};

    fn asked(exprs: &[&str]) -> QueryTexts {
        QueryTexts::new(&HistoryQuery {
            source: Source::Csv("none".into()),
            features: exprs.iter().map(|it| FeatureSpec::new("f", *it)).collect(),
            entity: vec!["job".to_owned(), "instance".to_owned()],
            exclude: Exclusions::default(),
            config: HistoryConfig::default(),
            zone: None,
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

    /// What history has of one entity at a time, and what serving computes then.
    struct Both {
        store: Store,
        history: Plan,
        serving: FeatureSet,
    }

    impl Both {
        fn new(expr: &str) -> Self {
            let text = asked(&[expr]).features.remove(0);
            let mut store = Store::new(StorageConfig::default());
            let features = [FeatureSpec::new("f", expr), FeatureSpec::new("alive", "load")];
            let entity = ["job".to_owned(), "instance".to_owned()];
            let serving = Features::parse(&features, &entity).expect(expr).bind(&mut store);
            let history = Plan::bind_lenient(&[Expr::parse(&text).expect(&text)], &mut store);
            Self { store, history, serving }
        }

        fn push(&mut self, labels: &[(&str, &str)], time_ms: i64, value: f64) {
            let labels = Labels::from_pairs(labels.iter().copied()).expect("labels");
            let samples = vec![Sample::new(time_ms, value)];
            let batch = Batch::of(vec![BatchSeries::new(labels, samples)]);
            assert_eq!(self.store.append(time_ms, &batch).rejected(), 0);
        }

        /// By instance, of history and of serving.
        fn at(&mut self, now_ms: i64) -> [BTreeMap<String, f64>; 2] {
            self.history.eval(&self.store, now_ms);
            let mut asked = BTreeMap::new();
            if let Ok(Value::Vector(vector)) = self.history.output(0) {
                let all = vector.layout.labels.iter().zip(vector.values).zip(vector.present);
                let there = all.filter(|(_, present)| **present);
                asked.extend(there.map(|((it, value), _)| (it.get("instance").to_owned(), *value)));
            }
            let matrix = self.serving.eval(&self.store, now_ms, 120_000);
            let slots = (0..matrix.slots()).filter(|it| matrix.row(*it)[0].is_finite());
            let of = |slot| (matrix.labels(slot).get("instance").to_owned(), matrix.row(slot)[0]);
            [asked, slots.map(of).collect()]
        }
    }

    /// Two hosts for an hour. The fleet's counter has no entity labels; `own` is the hosts', and that of
    /// host b ends after half an hour while the host goes on.
    #[track_caller]
    fn check_same(expr: &str, after: &[&str]) {
        let mut both = Both::new(expr);
        let (step_ms, start_ms) = (15_000, 1_700_000_000_000);
        let mut last = BTreeMap::new();
        let mut steps = 0;
        for step in 0..240 {
            let now_ms = start_ms + step * step_ms;
            let count = step as f64;
            both.push(&[("__name__", "fleet"), ("job", "node")], now_ms, 9.0 * count);
            for host in ["a", "b"] {
                let of = |name| [("__name__", name), ("job", "node"), ("instance", host)];
                both.push(&of("load"), now_ms, count);
                if host == "a" || step < 120 {
                    both.push(&of("own"), now_ms, 2.0 * count);
                } else if step == 120 {
                    both.push(&of("own"), now_ms, f64::from_bits(STALE_NAN_BITS));
                }
            }
            both.store.evict(now_ms);
            // Ranges are filled by then.
            if step >= 20 {
                let [history, serving] = both.at(now_ms);
                assert_eq!(history, serving, "{expr} at step {step}");
                steps += history.len();
                last = history;
            }
        }
        assert!(steps > 200, "{expr}: {steps}");
        assert_eq!(last.keys().map(String::as_str).collect::<Vec<_>>(), after, "{expr}");
    }

    #[test]
    fn history_gives_what_serving_computes() {
        check_same("rate(own[2m])", &["a"]);
        check_same("load / rate(own[2m])", &["a"]);
        check_same("load / on (job) group_left () rate(fleet[2m])", &["a", "b"]);
        check_same("load / on () group_left () sum(rate(fleet[2m]))", &["a", "b"]);
        check_same("load - scalar(sum(rate(fleet[2m])))", &["a", "b"]);
        check_same("rate(own[2m]) / on () group_left () sum(rate(fleet[2m]))", &["a"]);
        // Of all hosts: the share of one that is left counts on, as soon as nothing of it is in the range.
        check_same("load / on (job) group_left () sum by (job) (rate(own[2m]))", &["a", "b"]);
    }

    #[test]
    fn where_label_sets_clash_the_same_guard_stands_around_another_text() {
        let asked = asked(&["rate(a[2m]) / on (job) sum by (job) (b)", "a / b", "rollup(a[2m])"]);
        let rate = r#"rate({__name__="a"}[120000ms])"#;
        let text = format!(
            "((({rate}) and on (job) (count by (job) ({rate}) == 1)) / on (job) \
             (sum by (job) ({{__name__=\"b\"}}))\n) unless on (job, instance) \
             (last_over_time({{__name__=\"a\"}}[120000ms]) unless on (job, instance) {{__name__=\"a\"}})"
        );
        assert_eq!(asked.lenient, [Some(text), None, None]);
        let at = asked.features[0].find("\n) unless on").expect("a guard");
        assert!(asked.lenient[0].as_ref().expect("a text").ends_with(&asked.features[0][at..]));
    }

    #[test]
    fn what_does_not_parse_or_has_no_name_is_asked_as_it_is() {
        let asked = asked(&["rollup(a[2m])", r#"{job="x"}"#]);
        assert_eq!(asked.features, ["rollup(a[2m])", r#"{job="x"}"#]);
        assert_eq!(asked.sightings, None);
    }
}

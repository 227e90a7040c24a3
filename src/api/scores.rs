//! The scores of the last evaluation as series, by the names and labels that they have on the metrics page.
//!
//! In: a snapshot, whose models are shown as long as they are on the page, and how many features of an entity
//! are shown there. Out: series with one sample, at
//! the time of the evaluation; of those before nothing is kept. A series that was pushed and has the same
//! labels is that one, with its past.

use std::borrow::Cow;

use crate::detect::{EntityScore, FeatureScore, ModelSnapshot, Snapshot};
use crate::labels::{Labels, METRIC_NAME};
use crate::matcher::{MatchOp, Matcher, Selector};
use crate::sample::Sample;
use crate::series::{Excerpt, ExcerptError};

/// What there is of an entity: a name, and the value.
type OfEntity = (&'static str, fn(&EntityScore) -> f64);

const OF_ENTITIES: [OfEntity; 4] = [
    (SCORE, |it| it.score),
    ("anomaly_score_threshold", |it| it.threshold),
    (STATE, |_| 1.0),
    ("anomaly_reconstruction_error", |it| it.error),
];

/// What all others are about.
const SCORE: &str = "anomaly_score";

/// The one whose label says what the entity is.
const STATE: &str = "anomaly_state";

/// What there is of a model.
const THRESHOLD: &str = "anomaly_threshold";

/// What there is of a feature of an entity that is explained: a name, and the value.
type OfFeature = (&'static str, fn(&FeatureScore) -> f32);

const OF_FEATURES: [OfFeature; 3] = [
    ("anomaly_feature_contribution", |it| it.contribution),
    ("anomaly_feature_actual", |it| it.actual),
    ("anomaly_feature_expected", |it| it.expected),
];

/// Selectors that stand behind features, at most: a person looks at some features of some entities, and each
/// selector is held against every series of its metric.
const MAX_READ: usize = 64;

/// What is on the metrics page now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) now_ms: i64,
    /// Features of an entity at most.
    pub(super) max_contributions: usize,
}

/// Adds the series that an excerpt wants to it.
///
/// # Errors
/// When a limit is exceeded.
pub(super) fn copy_into(shown: Shown<'_>, excerpt: &mut Excerpt) -> Result<(), ExcerptError> {
    let wanted = excerpt.wanted();
    let selectors: Vec<&Selector> = wanted.iter().map(|it| &it.selector).collect();
    each(shown, &selectors, |labels, sample| {
        let is_wanted = wanted.iter().any(|it| {
            it.selector.matches(&labels)
                && sample.timestamp_ms > it.from_ms
                && sample.timestamp_ms <= it.to_ms
        });
        if is_wanted { excerpt.add(&labels, &[sample]) } else { Ok(()) }
    })
}

/// The label sets of those that satisfy any of the selectors, or of all when there is none, and are of a time
/// in `[from_ms, to_ms]`.
pub(super) fn series_in(
    shown: Shown<'_>,
    selectors: &[Selector],
    (from_ms, to_ms): (i64, i64),
) -> Vec<Labels> {
    let all = [Selector::new(Vec::new())];
    let selectors: Vec<&Selector> =
        if selectors.is_empty() { all.iter().collect() } else { selectors.iter().collect() };
    let mut found = Vec::new();
    let Ok(()) = each(shown, &selectors, |labels, sample| {
        let is_in = (from_ms..=to_ms).contains(&sample.timestamp_ms);
        if is_in && selectors.iter().any(|it| it.matches(&labels)) {
            found.push(labels);
        }
        Ok::<(), std::convert::Infallible>(())
    });
    found
}

/// What stands behind the features that a query for their parts in scores tells of: the selectors of their
/// expressions, each for the series with the labels of the entity.
pub(super) fn read_by_features(shown: Shown<'_>, selectors: &[Selector]) -> Vec<Selector> {
    let Shown { snapshot, now_ms, max_contributions } = shown;
    let mut found: Vec<Selector> = Vec::new();
    for model in snapshot.models.iter().filter(|model| model.is_current(now_ms)) {
        for (of, feature, it) in model.explanations(max_contributions) {
            let is_asked = OF_FEATURES.iter().any(|(name, _)| {
                let labels = labels(&of.entity, name, model, Some(("feature", feature)));
                selectors.iter().any(|it| it.matches(&labels))
            });
            let read = model.feature_selectors.get(it.feature as usize).filter(|_| is_asked);
            for selector in read.into_iter().flatten() {
                let of_entity = of.entity.iter().map(|(name, value)| {
                    Matcher::new(name, MatchOp::Equal, value).expect("no pattern to compile")
                });
                let matchers = selector.matchers().iter().cloned().chain(of_entity);
                let selector = Selector::new(matchers.collect());
                if !found.contains(&selector) {
                    found.push(selector);
                }
                if found.len() == MAX_READ {
                    return found;
                }
            }
        }
    }
    found
}

/// Calls back with every series of a name that one of the selectors may be about.
fn each<E>(
    shown: Shown<'_>,
    selectors: &[&Selector],
    mut visit: impl FnMut(Labels, Sample) -> Result<(), E>,
) -> Result<(), E> {
    let is_asked = |name: &str| {
        let mut selectors = selectors.iter();
        let of_name = |it: &&Selector| {
            let mut matchers = it.matchers().iter().filter(|it| it.name() == METRIC_NAME);
            matchers.all(|matcher| matcher.matches(name))
        };
        selectors.any(of_name)
    };
    let Shown { snapshot, now_ms, max_contributions } = shown;
    let models = || snapshot.models.iter().filter(|model| model.is_current(now_ms));
    for (name, value) in OF_ENTITIES.into_iter().filter(|(name, _)| is_asked(name)) {
        for model in models() {
            for it in &model.entities {
                let state = (name == STATE).then(|| ("state", it.state.name()));
                let labels = labels(&it.entity, name, model, state);
                visit(labels, Sample::new(model.time_ms, value(it)))?;
            }
        }
    }
    for (name, value) in OF_FEATURES.into_iter().filter(|(name, _)| is_asked(name)) {
        for model in models() {
            let explanations = model.explanations(max_contributions);
            for (of, feature, it) in explanations.filter(|(_, _, it)| !value(it).is_nan()) {
                let labels = labels(&of.entity, name, model, Some(("feature", feature)));
                visit(labels, Sample::new(model.time_ms, f64::from(value(it))))?;
            }
        }
    }
    for model in models().filter(|_| is_asked(THRESHOLD)) {
        let labels = labels(&Labels::empty(), THRESHOLD, model, None);
        visit(labels, Sample::new(model.time_ms, model.threshold))?;
    }
    Ok(())
}

/// The labels that the entity's `anomaly_score` has on the metrics page.
pub(super) fn score_labels(model: &ModelSnapshot, entity: &Labels) -> Labels {
    labels(entity, SCORE, model, None)
}

/// As on the metrics page: an entity label that is called as one of ours has another name.
fn labels(
    entity: &Labels,
    name: &str,
    model: &ModelSnapshot,
    more: Option<(&str, &str)>,
) -> Labels {
    let mut own = vec![(METRIC_NAME, name), ("model", model.model.as_str())];
    own.extend(more);
    let own_pairs = own.iter().map(|(name, value)| (Cow::Borrowed(*name), *value));
    Labels::from_pairs(entity.beside(&own).chain(own_pairs)).expect("names that differ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::{AnomalyState, Evaluation};
    use crate::features::Provenance;
    use crate::promql::parse_selector;

    const NOW: i64 = 1_700_000_000_000;

    /// Nothing was expected of the first feature.
    fn part(feature: u32, contribution: f32) -> FeatureScore {
        let expected = if feature == 0 { f32::NAN } else { 0.5 };
        FeatureScore { feature, contribution, actual: 4.0, expected, provenance: Provenance::Own }
    }

    fn shown(snapshot: &Snapshot, now_ms: i64) -> Shown<'_> {
        Shown { snapshot, now_ms, max_contributions: 2 }
    }

    fn snapshot() -> Snapshot {
        let entity = |instance, score| EntityScore {
            entity: Labels::from_pairs([("instance", instance)]).expect("distinct names"),
            score,
            threshold: 1.5,
            state: AnomalyState::Normal,
            error: 2.0 * score,
            features: vec![part(1, 0.5), part(0, 0.25), part(2, 0.125)],
            newest_ms: NOW,
        };
        let model = ModelSnapshot {
            model: "m".to_owned(),
            time_ms: NOW,
            interval_ms: 15_000,
            threshold: 2.0,
            feature_names: ["cpu", "disk", "net"].map(str::to_owned).into(),
            feature_selectors: Default::default(),
            explain_above: 0.8,
            entities: vec![entity("a", 0.5), entity("b", 3.0)],
            evaluation: Evaluation::default(),
        };
        Snapshot { time_ms: NOW, models: vec![Arc::new(model)], ..Snapshot::default() }
    }

    #[track_caller]
    fn check(selector: &str, now_ms: i64, expected: &[&str]) {
        let selector = parse_selector(selector).expect("a selector");
        let found = series_in(shown(&snapshot(), now_ms), &[selector], (NOW, NOW));
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn scores_are_series_as_long_as_they_are_on_the_page() {
        let b = r#"anomaly_score{instance="b", model="m"}"#;
        check("anomaly_score{instance='b'}", NOW, &[b]);
        check("anomaly_score{instance='b'}", NOW + 45_000, &[b]);
        check("anomaly_score{instance='b'}", NOW + 45_001, &[]);
        check("anomaly_threshold", NOW, &[r#"anomaly_threshold{model="m"}"#]);
        let state = r#"anomaly_state{instance="a", model="m", state="normal"}"#;
        check("{__name__=~'anomaly_.*', state='normal', instance='a'}", NOW, &[state]);
        // Of who is explained as many features as on the page, without those of which nothing is known.
        let disk = r#"anomaly_feature_expected{feature="disk", instance="b", model="m"}"#;
        check("anomaly_feature_expected", NOW, &[disk]);
        check("anomaly_feature_expected", NOW + 45_001, &[]);
        let actual = ["disk", "cpu"].map(|it| {
            format!(r#"anomaly_feature_actual{{feature="{it}", instance="b", model="m"}}"#)
        });
        check("anomaly_feature_actual", NOW, &actual.each_ref().map(String::as_str));
        let disk = r#"anomaly_feature_contribution{feature="disk", instance="b", model="m"}"#;
        check("anomaly_feature_contribution{feature='disk'}", NOW, &[disk]);
        check("up", NOW, &[]);
        let snapshot = snapshot();
        let all = series_in(shown(&snapshot, NOW), &[], (i64::MIN, i64::MAX));
        assert_eq!(all.len(), 2 * OF_ENTITIES.len() + 5 + 1);
        assert!(series_in(shown(&snapshot, NOW), &[], (NOW + 1, i64::MAX)).is_empty());
    }

    /// Who asks for the exemplars of a contribution is given those of what its feature reads of the entity.
    #[test]
    fn behind_a_feature_stands_what_it_reads() {
        let mut snapshot = snapshot();
        let read = |text: &str| parse_selector(text).expect("a selector");
        Arc::make_mut(&mut snapshot.models[0]).feature_selectors =
            [vec![read("cpu")], vec![read("disk{job='x'}"), read("up")], vec![read("net")]].into();
        let behind = |text: &str, now_ms| {
            let found = read_by_features(shown(&snapshot, now_ms), &[read(text)]);
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let disk = [
            r#"{__name__="disk",instance="b",job="x"}"#.to_owned(),
            r#"{__name__="up",instance="b"}"#.to_owned(),
        ];
        assert_eq!(behind("anomaly_feature_contribution{feature='disk'}", NOW), disk);
        let all = behind("anomaly_feature_actual", NOW);
        assert_eq!((&all[..2], all[2].as_str()), (&disk[..], r#"{__name__="cpu",instance="b"}"#));
        assert_eq!(all.len(), 3, "as many features as on the page");
        for nothing in ["anomaly_feature_actual{instance='a'}", "anomaly_score", "up"] {
            assert!(behind(nothing, NOW).is_empty(), "{nothing}");
        }
        assert!(behind("anomaly_feature_actual", NOW + 45_001).is_empty());
    }
}

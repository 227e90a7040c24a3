//! Limits: what a model may ask for, whoever wrote its file.
//!
//! In: what complete metadata say. Out: a sentence about the first number that is no use of memory or time anybody
//! means. Training keeps to the same limits, so that it writes no file that is refused here.

use std::collections::HashSet;

use super::error::ArtifactError;
use crate::duration::{DAY_MS, Duration};
use crate::features::{FeatureSpec, Missing};

/// A longer window takes longer to fill than anybody waits for a score.
pub const MAX_WINDOW: usize = 1_000;

/// Values of an entity's window: 16 MiB of memory for each entity, a hundred times what a window of the
/// built-in profile has.
pub const MAX_WINDOW_VALUES: usize = 4 << 20;

/// What lasts longer than a week is a level.
pub const MAX_SPAN_MS: i64 = 7 * DAY_MS;

/// A mean of fewer steps smooths nothing; one of so few is there at any step.
pub const LEAST_SPAN: f64 = 4.0;

/// Each span is a row of numbers for each entity.
pub const MAX_SPANS: usize = 4;

/// Entities are named by a few labels; Prometheus itself attaches two.
const MAX_ENTITY_LABELS: usize = 64;

/// With a larger exponent a mean is a maximum, and the powers of errors leave float32.
const MAX_POWER: f64 = 3.0;

type Checked = Result<(), ArtifactError>;

/// Refuses none, and names that are no use.
pub(super) fn features(features: &[FeatureSpec]) -> Checked {
    if features.is_empty() {
        return invalid("features", "there is none".to_owned());
    }
    let mut names = HashSet::with_capacity(features.len());
    for feature in features {
        let name = &feature.name;
        if !names.insert(name) {
            return invalid("features", format!("{name:?} occurs twice"));
        }
        if feature.missing == Missing::FillMedian {
            let reason = format!(
                "training has not said what the median of {name:?} is: write `missing: fill VALUE`"
            );
            return invalid("features", reason);
        }
    }
    Ok(())
}

/// Refuses a window that is no use, or too large.
pub(super) fn window(window: usize, features: usize) -> Checked {
    match window {
        0 => invalid("window", "it must be at least 1".to_owned()),
        _ if window > MAX_WINDOW => {
            invalid("window", format!("{window} steps are more than {MAX_WINDOW}"))
        }
        _ if features.saturating_mul(window) > MAX_WINDOW_VALUES => {
            let reason = format!(
                "{window} steps of {features} features are more than {MAX_WINDOW_VALUES} values"
            );
            invalid("window", reason)
        }
        _ => Ok(()),
    }
}

/// Refuses a step that is none.
pub(super) fn step(step: Duration) -> Checked {
    match step.as_ms() {
        0 => invalid("step", "it must be above 0".to_owned()),
        _ => Ok(()),
    }
}

/// A label that is there more than once.
#[must_use]
pub fn repeated(labels: &[String]) -> Option<&str> {
    let mut each = labels.iter().enumerate();
    each.find(|(i, label)| labels[..*i].contains(label)).map(|(_, label)| label.as_str())
}

/// Refuses more labels than name anything, and a label that is there twice.
pub(super) fn entity(entity: &[String]) -> Checked {
    let labels = entity.len();
    if labels > MAX_ENTITY_LABELS {
        return invalid("entity", format!("{labels} labels are more than {MAX_ENTITY_LABELS}"));
    }
    match repeated(entity) {
        Some(twice) => invalid("entity", format!("label {twice:?} is there twice")),
        None => Ok(()),
    }
}

/// Refuses means that smooth nothing, or cannot be computed.
pub(super) fn smoothing(spans: &[f64], power: f64, step: Duration) -> Checked {
    if spans.len() > MAX_SPANS {
        return invalid("smoothing", format!("{} spans are more than {MAX_SPANS}", spans.len()));
    }
    if spans.iter().any(|span| !(span.is_finite() && *span >= 1.0)) {
        return invalid("smoothing", format!("{spans:?} are not all numbers of at least 1"));
    }
    // What training divided by the step may come back a little larger.
    let most = LEAST_SPAN.max(MAX_SPAN_MS as f64 / step.as_ms() as f64 * (1.0 + 1e-9));
    if let Some(span) = spans.iter().find(|span| **span > most) {
        let reason = format!("{span} steps of {step} are more than a week");
        return invalid("smoothing", reason);
    }
    match (1.0..=MAX_POWER).contains(&power) {
        true => Ok(()),
        false => {
            invalid("smoothing_power", format!("{power} is not a number from 1 to {MAX_POWER}"))
        }
    }
}

fn invalid(what: &'static str, reason: String) -> Checked {
    Err(ArtifactError::Invalid { what, reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Metadata;

    #[track_caller]
    fn check_of(change: impl FnOnce(&mut Metadata), expected: &str) {
        let features = vec![FeatureSpec::new("a", "up"), FeatureSpec::new("b", "up")];
        let entity = vec!["instance".to_owned()];
        let mut metadata = Metadata::new(features, entity, Duration::from_seconds(60));
        change(&mut metadata);
        let found = metadata.within_limits().err().map_or(String::new(), |it| it.to_string());
        assert_eq!(found, expected);
    }

    fn many(count: usize) -> Vec<FeatureSpec> {
        (0..count).map(|i| FeatureSpec::new(format!("f{i}"), "up")).collect()
    }

    #[test]
    fn what_no_model_is_used_with_is_refused() {
        check_of(|_| {}, "");
        check_of(|it| it.features.clear(), "features: there is none");
        check_of(
            |it| it.features = vec![FeatureSpec::new("f0", "up"); 2],
            "features: \"f0\" occurs twice",
        );
        check_of(|it| it.window = 0, "window: it must be at least 1");
        check_of(|it| it.window = 1_000, "");
        check_of(|it| it.window = 100_000_000_000, "window: 100000000000 steps are more than 1000");
        check_of(
            |it| it.window = usize::MAX,
            &format!("window: {} steps are more than 1000", usize::MAX),
        );
        check_of(|it| (it.window, it.features) = (10, many(60_000)), "");
        check_of(
            |it| (it.window, it.features) = (1_000, many(60_000)),
            "window: 1000 steps of 60000 features are more than 4194304 values",
        );
        check_of(|it| it.step = Duration::from_ms(0), "step: it must be above 0");
        check_of(|it| it.smoothing = vec![10_080.0; 4], "");
        check_of(|it| it.smoothing = vec![5.0; 5], "smoothing: 5 spans are more than 4");
        check_of(
            |it| it.smoothing = vec![0.5],
            "smoothing: [0.5] are not all numbers of at least 1",
        );
        check_of(
            |it| it.smoothing = vec![60.0, 10_081.0],
            "smoothing: 10081 steps of 1m are more than a week",
        );
        check_of(|it| it.smoothing_power = 4.0, "smoothing_power: 4 is not a number from 1 to 3");
        check_of(|it| it.entity = vec!["a".to_owned(); 65], "entity: 65 labels are more than 64");
        // A step of weeks is smoothed over four of them.
        check_of(|it| (it.step, it.smoothing) = (Duration::from_seconds(1_000_000), vec![4.0]), "");
    }

    #[test]
    fn many_features_are_no_wait() {
        let before = std::time::Instant::now();
        check_of(|it| it.features = many(400_000), "");
        // Compared with one another they take minutes.
        assert!(before.elapsed().as_secs() < 20, "{:?}", before.elapsed());
    }
}

//! The fleet as text: how many entities are in which state, the scores of the whole fleet, and how old the
//! data are.
//!
//! Everything here is counted from the snapshot, for each model separately. Figures about scored entities are
//! absent if none is scored, and figures about the model's input are absent if nothing is measured: any
//! number would be wrong.

use super::metrics_page::{Page, model_gauge};
use crate::detect::{AnomalyState, EntityScore, ModelSnapshot, RangeCount};
use crate::labels::Labels;
use crate::statistics;

/// Writes all of it.
pub(super) fn render(page: &mut Page, models: &[&ModelSnapshot]) {
    states(page, models);
    model_gauge(
        page,
        models,
        "anomaly_score_median",
        "The median score of all scored entities; absent when none is scored.",
        |model| statistics::median(model.entities.iter().map(|it| it.score).collect()),
    );
    model_gauge(
        page,
        models,
        "anomaly_entities_anomalous_ratio",
        "The share of scored entities above their threshold in force; absent when none is scored.",
        |model| share(anomalous(model), model.entities.len()),
    );
    model_gauge(
        page,
        models,
        "anomaly_evaluation_lag_seconds",
        "How long after the time of the tick its scores were available, including queueing and \
         computing.",
        |model| Some(model.evaluation.lag.as_secs_f64()),
    );
    newest(page, models);
    model_gauge(
        page,
        models,
        "anomaly_features_out_of_range_ratio",
        "The share of measured values outside of the range that the model was trained on.",
        |model| {
            let ranges = &model.evaluation.ranges;
            let sum =
                |part: fn(&RangeCount) -> u32| ranges.iter().map(|it| part(it) as usize).sum();
            share(sum(|it| it.outside), sum(|it| it.own))
        },
    );
    outside(page, models);
}

/// How far back what scores rest on is: of each entity that has one.
fn newest(page: &mut Page, models: &[&ModelSnapshot]) {
    let mut family = page.gauge(
        "anomaly_newest_sample_timestamp_seconds",
        "When the newest sample behind the entity's score was taken.",
    );
    for model in models {
        for it in model.entities.iter().filter(|it| it.newest_ms != i64::MIN) {
            let seconds = it.newest_ms as f64 / 1000.0;
            family.sample(&it.entity, &[("model", &model.model)], seconds);
        }
    }
}

/// Drift by feature: those that have a range and that somebody has measured.
fn outside(page: &mut Page, models: &[&ModelSnapshot]) {
    let mut family = page.gauge(
        "anomaly_feature_out_of_range_ratio",
        "The share of the feature's measured values outside of the range that the model was trained on.",
    );
    for model in models {
        for (feature, it) in model.feature_names.iter().zip(&model.evaluation.ranges) {
            if let Some(share) = share(it.outside as usize, it.own as usize) {
                let own = [("model", model.model.as_str()), ("feature", feature)];
                family.sample(&Labels::empty(), &own, share);
            }
        }
    }
}

fn anomalous(model: &ModelSnapshot) -> usize {
    model.entities.iter().filter(|it| it.is_anomalous()).count()
}

/// Every entity that is there in one state; where the model cannot be run, those that it would have
/// scored are in none.
fn states(page: &mut Page, models: &[&ModelSnapshot]) {
    let mut family = page.gauge(
        "anomaly_entities",
        "Entities at the last tick by state; the anomalous, the lasting and the normal ones have \
         a score.",
    );
    for model in models {
        let (e, anomalous) = (&model.evaluation, anomalous(model));
        let is_lasting = |it: &&EntityScore| it.state == AnomalyState::Lasting;
        let lasting = model.entities.iter().filter(is_lasting).count();
        for (state, count) in [
            ("anomalous", anomalous),
            ("lasting", lasting),
            ("normal", model.entities.len() - anomalous - lasting),
            ("stale", e.stale),
            ("incomplete", e.incomplete),
            ("warming", e.warming),
            ("not_finite", e.not_finite),
            ("refused", e.refused),
        ] {
            let own = [("model", model.model.as_str()), ("state", state)];
            family.sample(&Labels::empty(), &own, count as f64);
        }
    }
}

/// A part of a whole, nothing of nothing.
fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Evaluation;

    const NOW: i64 = 1_700_000_000_000;

    /// Entities with these scores and thresholds, by the name of their place.
    fn model(scores: &[(f64, f64)], evaluation: Evaluation) -> ModelSnapshot {
        let entity = |(i, (score, threshold)): (usize, &(f64, f64))| EntityScore {
            entity: Labels::from_pairs([("instance", i.to_string())]).expect("one name"),
            score: *score,
            threshold: *threshold,
            // Above what is usual, and below what it has been for two hours.
            state: if (2.0..=*threshold).contains(score) {
                AnomalyState::Lasting
            } else {
                AnomalyState::default()
            },
            error: 1.0,
            features: Vec::new(),
            newest_ms: NOW - 7_250,
        };
        ModelSnapshot {
            model: "m".to_owned(),
            time_ms: NOW,
            interval_ms: 15_000,
            threshold: 2.0,
            feature_names: ["cpu", "disk", "net"].map(str::to_owned).into(),
            feature_selectors: Default::default(),
            explain_above: 0.8,
            entities: scores.iter().enumerate().map(entity).collect(),
            evaluation,
        }
    }

    /// The samples of a family, without its name.
    fn family(model: &ModelSnapshot, name: &str) -> Vec<String> {
        let mut page = Page::default();
        render(&mut page, &[model]);
        let text = page.whole();
        let samples = text.lines().filter_map(|line| line.strip_prefix(name));
        samples.filter(|it| it.starts_with('{')).map(str::to_owned).collect()
    }

    #[track_caller]
    fn check(scores: &[(f64, f64)], states: [usize; 3], median: &[&str], share: &[&str]) {
        let evaluation =
            Evaluation { stale: 3, incomplete: 4, warming: 5, refused: 6, ..Evaluation::default() };
        let model = model(scores, evaluation);
        let [anomalous, lasting, normal] = states;
        let counts =
            [("anomalous", anomalous), ("lasting", lasting), ("normal", normal), ("stale", 3)];
        let counts = counts.into_iter().chain([
            ("incomplete", 4),
            ("warming", 5),
            ("not_finite", 0),
            ("refused", 6),
        ]);
        let expected: Vec<String> =
            counts.map(|(state, it)| format!(r#"{{model="m",state="{state}"}} {it}"#)).collect();
        assert_eq!(family(&model, "anomaly_entities"), expected);
        for (name, values) in
            [("anomaly_score_median", median), ("anomaly_entities_anomalous_ratio", share)]
        {
            let expected: Vec<String> =
                values.iter().map(|it| format!(r#"{{model="m"}} {it}"#)).collect();
            assert_eq!(family(&model, name), expected);
        }
    }

    #[test]
    fn a_fleet_in_numbers() {
        check(&[(0.5, 1.0)], [0, 0, 1], &["0.5"], &["0"]);
        // At its threshold it is normal; those of the second and third have risen, and what the second has
        // lasts.
        check(&[(1.0, 1.0), (3.0, 4.0), (5.0, 4.0)], [1, 1, 1], &["3"], &["0.3333333333333333"]);
        check(&[(4.0, 1.0), (0.5, 1.0), (2.0, 1.0), (0.25, 1.0)], [2, 0, 2], &["1.25"], &["0.5"]);
        // Nobody is scored: there is no middle and no share.
        check(&[], [0, 0, 0], &[], &[]);
    }

    #[test]
    fn how_old_it_is() {
        let lag = std::time::Duration::from_millis(1_500);
        let mut model =
            model(&[(0.5, 1.0), (0.5, 1.0)], Evaluation { lag, ..Evaluation::default() });
        model.entities[1].newest_ms = i64::MIN;
        assert_eq!(family(&model, "anomaly_evaluation_lag_seconds"), [r#"{model="m"} 1.5"#]);
        let newest = family(&model, "anomaly_newest_sample_timestamp_seconds");
        assert_eq!(newest, [r#"{instance="0",model="m"} 1699999992.75"#]);
    }

    #[test]
    fn what_lies_outside_of_the_range_of_training() {
        let ranges = |counts: &[(u32, u32)]| {
            let counts =
                counts.iter().map(|(own, outside)| RangeCount { own: *own, outside: *outside });
            model(&[], Evaluation { ranges: counts.collect(), ..Evaluation::default() })
        };
        let found = ranges(&[(4, 1), (0, 0), (12, 0)]);
        assert_eq!(
            family(&found, "anomaly_features_out_of_range_ratio"),
            [r#"{model="m"} 0.0625"#]
        );
        assert_eq!(
            family(&found, "anomaly_feature_out_of_range_ratio"),
            [r#"{model="m",feature="cpu"} 0.25"#, r#"{model="m",feature="net"} 0"#]
        );
        // The file does not tell; nobody has a value of its own.
        for absent in [ranges(&[]), ranges(&[(0, 0), (0, 0), (0, 0)])] {
            assert_eq!(family(&absent, "anomaly_features_out_of_range_ratio"), [""; 0]);
            assert_eq!(family(&absent, "anomaly_feature_out_of_range_ratio"), [""; 0]);
        }
    }
}

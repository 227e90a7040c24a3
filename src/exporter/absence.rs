//! What used to be there and is missing now, as text.
//!
//! An entity has a sample only while it lacks a feature, so there are at most as many samples as entities.
//! The other two families have one sample for each model, and one for each feature of it.

use super::metrics_page::Page;
use crate::detect::ModelSnapshot;
use crate::labels::Labels;

/// Writes the features that entities miss and how many entities are absent.
pub(super) fn render(page: &mut Page, models: &[&ModelSnapshot]) {
    let mut family = page.gauge(
        "anomaly_missing_features",
        "Features that the entity used to have and now lacks; only entities that lack some are \
         here.",
    );
    for model in models {
        for it in &model.evaluation.absences.lacking {
            family.sample(&it.entity, &[("model", &model.model)], it.features.len() as f64);
        }
    }
    let mut family = page.gauge(
        "anomaly_feature_missing_entities",
        "Entities that are there, used to have the feature and now lack it.",
    );
    for model in models {
        let counts = model.evaluation.absences.by_feature(model.feature_names.len());
        for (feature, count) in model.feature_names.iter().zip(counts) {
            let own = [("model", model.model.as_str()), ("feature", feature)];
            family.sample(&Labels::empty(), &own, f64::from(count));
        }
    }
    let mut family = page.gauge(
        "anomaly_entities_absent",
        "Entities that had a score within the last day and are gone: stale, or away and \
         remembered.",
    );
    for model in models {
        let count = model.evaluation.absences.entities.len();
        family.sample(&Labels::empty(), &[("model", &model.model)], count as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Absences, AbsentEntity, Evaluation, LackingEntity};

    fn labels(instance: &str) -> Labels {
        Labels::from_pairs([("instance", instance)]).expect("one name")
    }

    fn model(name: &str, absences: Absences) -> ModelSnapshot {
        ModelSnapshot {
            model: name.to_owned(),
            time_ms: 0,
            interval_ms: 15_000,
            threshold: 1.0,
            feature_names: ["cpu", "disk"].map(str::to_owned).into(),
            feature_selectors: Default::default(),
            explain_above: 0.8,
            entities: Vec::new(),
            evaluation: Evaluation { absences, ..Evaluation::default() },
        }
    }

    #[test]
    fn entities_that_miss_something_are_shown_and_numbers_always() {
        let lacking = |instance, features: &[u32]| LackingEntity {
            entity: labels(instance),
            features: features.to_vec(),
        };
        let absences = Absences {
            lacking: vec![lacking("a", &[0, 1]), lacking("b", &[1])],
            entities: vec![AbsentEntity { entity: labels("c"), scored_ms: 0 }],
        };
        let models = [model("m", absences), model("n", Absences::default())];
        let mut page = Page::default();
        render(&mut page, &models.iter().collect::<Vec<_>>());
        let text = page.whole();
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                r#"anomaly_entities_absent{model="m"} 1"#,
                r#"anomaly_entities_absent{model="n"} 0"#,
                r#"anomaly_feature_missing_entities{model="m",feature="cpu"} 1"#,
                r#"anomaly_feature_missing_entities{model="m",feature="disk"} 2"#,
                r#"anomaly_feature_missing_entities{model="n",feature="cpu"} 0"#,
                r#"anomaly_feature_missing_entities{model="n",feature="disk"} 0"#,
                r#"anomaly_missing_features{instance="a",model="m"} 2"#,
                r#"anomaly_missing_features{instance="b",model="m"} 1"#,
            ]
        );
    }
}

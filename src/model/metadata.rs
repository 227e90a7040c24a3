//! Metadata: what has to be known about a graph to feed it and to judge its errors.
//!
//! In: the `portent.*` entries of a file's `metadata_props`, all, some or none of them, and the
//! model's section of the configuration. Out: complete metadata or a sentence about what is
//! missing, malformed or contradictory. It never looks at the graph.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::config::ModelConfig;
use super::error::ArtifactError;
use super::limits;
use super::property::{agree, first_difference, from_json, json, parse, time};
use super::range::FeatureRange;
use super::remembered::Remembered;
use super::role::OutputRole;
use super::state::{AdaptiveThreshold, LevelSpec};
use super::still::StillSpec;
use crate::duration::Duration;
use crate::features::{FeatureSpec, Missing, PROFILE_VERSION, TIME_OF_DAY, TIME_OF_WEEK, profile};
use crate::timestamp;

/// The layout of the keys below. A file that says more was written by a later version; one that
/// says less knows nothing of smoothing and what follows it, and needs none of it.
const SCHEMA: u32 = 2;

/// What every key starts with, so that entries of others are left alone.
const PREFIX: &str = "portent.";

/// Keys of older files of this schema that no longer say anything.
const RETIRED: [&str; 1] = ["validation"];

/// What Prometheus itself attaches to every series it scrapes from a target.
const DEFAULT_ENTITY: [&str; 2] = ["job", "instance"];

/// What has to be known about a graph to feed it and to judge its errors.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// The layout of the entries.
    pub schema: u32,
    /// The inputs, in the graph's order.
    pub features: Vec<FeatureSpec>,
    /// The labels whose values name an entity.
    pub entity: Vec<String>,
    /// The distance between two steps, and between two ticks.
    pub step: Duration,
    /// Steps that the graph looks at, at least 1.
    pub window: usize,
    /// The spans in steps of the exponentially weighted means that smooth an entity's errors; of
    /// several, their mean counts. Empty where errors are left as they are.
    pub smoothing: Vec<f64>,
    /// The exponent of the power means that smooth: 1 for plain means, more to let peaks count for
    /// more.
    pub smoothing_power: f64,
    /// The entity's own level, for a graph that asks for it.
    pub level: Option<LevelSpec>,
    /// How the threshold follows an entity that changes for good; `None` leaves it where it is.
    pub adaptive_threshold: Option<AdaptiveThreshold>,
    /// What is usual of entities that stand still; `None` where none is told of it.
    pub still: Option<StillSpec>,
    /// The entities that the graph tells apart: the values of the entity labels, in order. Empty
    /// for a graph that treats all alike.
    pub entities: Vec<Vec<String>>,
    /// What the file remembers of entities that it was trained on, in no order that matters. Who is
    /// told apart and who is remembered are two things.
    pub remembered: Vec<Remembered>,
    /// The names of features that the error does not depend on: constant ones, clocks.
    pub weightless: Vec<String>,
    /// For each feature the range of its measured values in training, where there were any; empty
    /// where the file does not tell.
    pub ranges: Vec<Option<FeatureRange>>,
    /// The version of the built-in profile, where the features are that.
    pub profile: Option<u32>,
    /// The smoothed error above which an entity is anomalous. Above zero.
    pub threshold: f64,
    /// What the graph's outputs are, by name; empty where their names and shapes tell.
    pub outputs: BTreeMap<String, OutputRole>,
    /// How the threshold was found, for people.
    pub threshold_method: String,
    /// The first training step, where the file tells.
    pub trained_from_ms: Option<i64>,
    /// The last training step, where the file tells.
    pub trained_to_ms: Option<i64>,
    /// What the model says of its own training range, where the file tells.
    pub training_scores: Option<ScoreSummary>,
}

/// What a model says of its own training range. Errors are smoothed, to be compared with the threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreSummary {
    /// Rows: entities times steps.
    pub rows: usize,
    /// Their mean error.
    pub mean_error: f64,
    /// Their largest error.
    pub max_error: f64,
    /// The share of them above the threshold, 0 to 1.
    pub above_threshold: f64,
}

/// What a file says about itself, as far as it does.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Recorded {
    features: Option<Vec<FeatureSpec>>,
    entity: Option<Vec<String>>,
    step: Option<Duration>,
    window: Option<usize>,
    smoothing: Vec<f64>,
    smoothing_power: Option<f64>,
    level: Option<LevelSpec>,
    adaptive_threshold: Option<AdaptiveThreshold>,
    still: Option<StillSpec>,
    entities: Vec<Vec<String>>,
    remembered: Vec<Remembered>,
    weightless: Vec<String>,
    ranges: Vec<Option<FeatureRange>>,
    profile: Option<u32>,
    threshold: Option<f64>,
    outputs: Option<BTreeMap<String, OutputRole>>,
    threshold_method: Option<String>,
    trained_from_ms: Option<i64>,
    trained_to_ms: Option<i64>,
    training_scores: Option<ScoreSummary>,
}

impl Metadata {
    /// Whether the model has to be evaluated at its own step: it looks at several steps, or
    /// remembers what it saw at earlier ones.
    #[must_use]
    pub fn is_stepwise(&self) -> bool {
        let remembers = self.level.is_some() || self.still.is_some();
        self.window > 1 || !self.smoothing.is_empty() || remembers
    }

    /// Complete metadata of a freshly trained model.
    #[must_use]
    pub fn new(features: Vec<FeatureSpec>, entity: Vec<String>, step: Duration) -> Self {
        Self {
            schema: SCHEMA,
            profile: profile_version(&features),
            features,
            entity,
            step,
            window: 1,
            smoothing: Vec::new(),
            smoothing_power: 1.0,
            level: None,
            adaptive_threshold: None,
            still: None,
            entities: Vec::new(),
            remembered: Vec::new(),
            weightless: Vec::new(),
            ranges: Vec::new(),
            threshold: 1.0,
            outputs: BTreeMap::new(),
            threshold_method: "none".to_owned(),
            trained_from_ms: None,
            trained_to_ms: None,
            training_scores: None,
        }
    }

    /// The entries for a file's `metadata_props`.
    ///
    /// # Units
    /// Durations as Prometheus writes them, times in RFC 3339, lists as JSON.
    #[must_use]
    pub fn properties(&self) -> Vec<(String, String)> {
        let mut entries = vec![
            ("schema", self.schema.to_string()),
            ("features", json(&self.features)),
            ("entity", json(&self.entity)),
            ("step", self.step.to_string()),
            ("window", self.window.to_string()),
            ("smoothing", json(&self.smoothing)),
            ("smoothing_power", self.smoothing_power.to_string()),
            ("threshold", self.threshold.to_string()),
            ("threshold_method", self.threshold_method.clone()),
        ];
        let times = [("trained_from", self.trained_from_ms), ("trained_to", self.trained_to_ms)];
        for (key, time_ms) in times {
            entries.extend(time_ms.map(|ms| (key, timestamp::format_ms(ms))));
        }
        entries.extend(self.level.as_ref().map(|it| ("level", json(it))));
        entries.extend(self.adaptive_threshold.as_ref().map(|it| ("adaptive_threshold", json(it))));
        entries.extend(self.still.as_ref().map(|it| ("still", json(it))));
        if !self.entities.is_empty() {
            entries.push(("entities", json(&self.entities)));
        }
        if !self.remembered.is_empty() {
            entries.push(("remembered", json(&self.remembered)));
        }
        if !self.weightless.is_empty() {
            entries.push(("weightless", json(&self.weightless)));
        }
        if !self.ranges.is_empty() {
            entries.push(("ranges", json(&self.ranges)));
        }
        if !self.outputs.is_empty() {
            entries.push(("outputs", json(&self.outputs)));
        }
        entries.extend(self.profile.map(|it| ("profile", it.to_string())));
        entries.extend(self.training_scores.as_ref().map(|it| ("training_scores", json(it))));
        entries.into_iter().map(|(key, value)| (format!("{PREFIX}{key}"), value)).collect()
    }

    /// Refuses numbers that no model is used with.
    pub(super) fn within_limits(&self) -> Result<(), ArtifactError> {
        limits::features(&self.features)?;
        limits::window(self.window, self.features.len())?;
        limits::step(self.step)?;
        limits::smoothing(&self.smoothing, self.smoothing_power, self.step)?;
        limits::entity(&self.entity)
    }

    /// Refuses what no graph can be used with.
    fn validated(self) -> Result<Self, ArtifactError> {
        let invalid = |what, reason: String| Err(ArtifactError::Invalid { what, reason });
        self.within_limits()?;
        self.level
            .iter()
            .try_for_each(|level| level.check(self.features.len(), self.entities.len()))?;
        self.adaptive_threshold.iter().try_for_each(AdaptiveThreshold::check)?;
        self.still.iter().try_for_each(|it| it.check(&self.features))?;
        FeatureRange::check(&self.ranges, self.features.len())?;
        if self.entities.iter().any(|values| values.len() != self.entity.len()) {
            return invalid("entities", "each needs a value for every entity label".to_owned());
        }
        let (labels, features) = (self.entity.len(), self.features.len());
        Remembered::check(&self.remembered, labels, features, self.level.is_some())?;
        if !(self.threshold.is_finite() && self.threshold > 0.0) {
            let reason = format!("{} is not a number above 0", self.threshold);
            return invalid("threshold", reason);
        }
        Ok(self)
    }
}

/// Whether training added it.
fn is_clock(feature: &FeatureSpec) -> bool {
    [TIME_OF_DAY, TIME_OF_WEEK].iter().any(|clock| clock.is(feature))
}

/// The version of the built-in profile, if these are its features.
fn profile_version(features: &[FeatureSpec]) -> Option<u32> {
    features.iter().filter(|it| !is_clock(it)).eq(&profile()).then_some(PROFILE_VERSION)
}

impl Recorded {
    /// Reads a file's entries; those of others are left alone. A later schema is told before anything
    /// else: what it holds is not for this version to judge.
    pub(super) fn of<'a>(
        entries: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Result<Self, ArtifactError> {
        let mut recorded = Self::default();
        let (schemas, others): (Vec<_>, Vec<_>) =
            entries.partition(|(key, _)| key.strip_prefix(PREFIX) == Some("schema"));
        for (key, value) in schemas.into_iter().chain(others) {
            recorded.read(key, value)?;
        }
        Ok(recorded)
    }

    /// Reads one entry of a file. What the schema does not have is refused, here as within an entry: it
    /// is a slip of the pen, and what it was to say would be lost in silence.
    pub(super) fn read(&mut self, key: &str, value: &str) -> Result<(), ArtifactError> {
        let Some(name) = key.strip_prefix(PREFIX) else {
            return Ok(());
        };
        match name {
            "schema" => {
                let schema: u32 = parse(key, value)?;
                if schema > SCHEMA {
                    return Err(ArtifactError::Schema { found: schema, expected: SCHEMA });
                }
            }
            "features" => self.features = Some(from_json(key, value)?),
            "entity" => self.entity = Some(from_json(key, value)?),
            "step" => self.step = Some(parse(key, value)?),
            "window" => self.window = Some(parse(key, value)?),
            "smoothing" => self.smoothing = from_json(key, value)?,
            "smoothing_power" => self.smoothing_power = Some(parse(key, value)?),
            "level" => self.level = Some(from_json(key, value)?),
            "adaptive_threshold" => self.adaptive_threshold = Some(from_json(key, value)?),
            "still" => self.still = Some(from_json(key, value)?),
            "entities" => self.entities = from_json(key, value)?,
            "remembered" => self.remembered = from_json(key, value)?,
            "weightless" => self.weightless = from_json(key, value)?,
            "ranges" => self.ranges = from_json(key, value)?,
            "profile" => self.profile = Some(parse(key, value)?),
            "threshold" => self.threshold = Some(parse(key, value)?),
            "outputs" => self.outputs = Some(from_json(key, value)?),
            "threshold_method" => self.threshold_method = Some(value.to_owned()),
            "trained_from" => self.trained_from_ms = Some(time(key, value)?),
            "trained_to" => self.trained_to_ms = Some(time(key, value)?),
            "training_scores" => self.training_scores = Some(from_json(key, value)?),
            name if RETIRED.contains(&name) => {}
            _ => return Err(ArtifactError::Unknown { key: key.to_owned(), schema: SCHEMA }),
        }
        Ok(())
    }

    /// The configured features as training makes them: with the medians that it found, and followed
    /// by the clocks that it added, both from the file.
    fn with_clocks(&self, config: &ModelConfig) -> Option<Vec<FeatureSpec>> {
        let mut features = config.features.clone()?;
        for (feature, recorded) in features.iter_mut().zip(self.features.iter().flatten()) {
            let is_value = matches!(recorded.missing, Missing::Fill(_));
            if feature.missing == Missing::FillMedian && is_value {
                feature.missing = recorded.missing;
            }
        }
        let added = self.features.iter().flatten().skip(features.len());
        features.extend(added.filter(|it| is_clock(it)).cloned());
        Some(features)
    }

    /// Refuses features that are not those of the file. Of a configured model without a file, which is the
    /// one that Portent ships with, they say that it is still to be trained, as its own entity labels do.
    fn is_trained_for(&self, config: &ModelConfig) -> Result<(), ArtifactError> {
        let configured = self.with_clocks(config);
        let difference = match (&self.features, &configured) {
            (Some(file), Some(config)) => first_difference(file, config),
            _ => None,
        };
        let differs = |file: &Option<Vec<String>>| {
            file.is_some() && config.entity.is_some() && *file != config.entity
        };
        if config.file.is_none() && (difference.is_some() || differs(&self.entity)) {
            return Err(ArtifactError::Untrained { model: config.name.clone() });
        }
        match difference {
            Some((key, file, config)) => Err(ArtifactError::Contradiction { key, file, config }),
            None => Ok(()),
        }
    }

    /// Completes what the file says with what the configuration says.
    ///
    /// `graph_window` is the length of the window that the graph's input declares.
    pub(super) fn resolve(
        &self,
        config: &ModelConfig,
        graph_window: Option<usize>,
    ) -> Result<Metadata, ArtifactError> {
        self.is_trained_for(config)?;
        let features = self.features.clone().or_else(|| config.features.clone());
        let entity = agree("entity", &self.entity, &config.entity, |it| format!("{it:?}"))?;
        let step = agree("step", &self.step, &config.step, ToString::to_string)?;
        let window = agree("window", &self.window, &config.window, ToString::to_string)?;
        let threshold =
            agree("threshold", &self.threshold, &config.threshold, ToString::to_string)?;
        let outputs = agree("outputs", &self.outputs, &config.outputs, json)?;
        let (Some(features), Some(step), Some(threshold)) = (&features, step, threshold) else {
            let missing = [
                (features.is_none(), "features"),
                (step.is_none(), "step"),
                (threshold.is_none(), "threshold"),
            ];
            let names = missing.iter().filter(|(is, _)| *is).map(|(_, name)| *name);
            let keys = names.collect::<Vec<_>>().join(", ");
            return Err(ArtifactError::Missing { keys });
        };
        let default_method = if self.threshold.is_some() { "not told" } else { "configured" };
        Metadata {
            schema: SCHEMA,
            features: features.clone(),
            entity: entity.unwrap_or_else(|| DEFAULT_ENTITY.map(str::to_owned).to_vec()),
            step,
            window: window.or(graph_window).unwrap_or(1),
            smoothing: self.smoothing.clone(),
            smoothing_power: self.smoothing_power.unwrap_or(1.0),
            level: self.level.clone(),
            adaptive_threshold: self.adaptive_threshold,
            still: self.still.clone(),
            entities: self.entities.clone(),
            remembered: self.remembered.clone(),
            weightless: self.weightless.clone(),
            ranges: self.ranges.clone(),
            profile: self.profile,
            threshold,
            outputs: outputs.unwrap_or_default(),
            threshold_method: self
                .threshold_method
                .clone()
                .unwrap_or_else(|| default_method.to_owned()),
            trained_from_ms: self.trained_from_ms,
            trained_to_ms: self.trained_to_ms,
            training_scores: self.training_scores.clone(),
        }
        .validated()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Missing;
    use crate::model::{HourlyMaxima, LevelStart};

    fn metadata() -> Metadata {
        Metadata {
            window: 10,
            smoothing: vec![3.0, 7.5],
            smoothing_power: 1.5,
            level: Some(LevelSpec {
                half_life: 4_320.0,
                prior: 60.0,
                clip: 5.0,
                mean: vec![0.1, -3.0],
                scale: vec![1e-9, 2.0],
                floor: vec![0.1, 0.5],
                entities: vec![
                    LevelStart {
                        prior: 8_640.0,
                        mean: vec![0.2, -2.0],
                        scale: vec![1.0, 2.0],
                        floor: vec![0.2, 0.1],
                    };
                    2
                ],
            }),
            adaptive_threshold: Some(AdaptiveThreshold { hours_per_week: 5, same_hour: false }),
            entities: vec![vec!["a:9100".to_owned()], vec!["b \"9100".to_owned()]],
            remembered: vec![
                Remembered::new(vec!["c".to_owned()])
                    .with_level(LevelStart {
                        prior: 2.0 / 0.7,
                        mean: vec![0.1, 1.0 / 3.0],
                        scale: vec![1e-30, f32::MAX],
                        floor: vec![f32::MIN_POSITIVE, 0.1],
                    })
                    .with_hours(Some(HourlyMaxima {
                        last_hour: -3,
                        scores: vec![Some(0.7), None, Some(0.0)],
                    })),
                Remembered::new(vec!["b \"9100".to_owned()]),
            ],
            weightless: vec!["a".to_owned()],
            ranges: vec![Some(FeatureRange { lower: -0.1, upper: 1e9 }), None],
            outputs: BTreeMap::from([("y".to_owned(), OutputRole::Normality)]),
            threshold: 0.1 + 0.2,
            threshold_method: "percentile 99.5".to_owned(),
            trained_from_ms: Some(1_795_428_900_000),
            trained_to_ms: Some(1_795_428_900_250),
            training_scores: Some(ScoreSummary {
                rows: 7,
                mean_error: 0.125,
                max_error: 1.0 / 3.0,
                above_threshold: 0.01,
            }),
            ..Metadata::new(
                vec![
                    FeatureSpec::new("b", r#"rate(x{le="\"ü"}[5m])"#),
                    FeatureSpec::new("a", "swap").or(Missing::Fill(0.5)),
                ],
                vec!["instance".to_owned()],
                Duration::from_ms(1_500),
            )
        }
    }

    fn recorded(metadata: &Metadata) -> Recorded {
        let mut recorded = Recorded::default();
        for (key, value) in metadata.properties() {
            recorded.read(&key, &value).expect("our own entry");
        }
        recorded
    }

    #[track_caller]
    fn check_error(recorded: &Recorded, config: &ModelConfig, expected: &str) {
        let error = recorded.resolve(config, None).expect_err("a refusal");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn what_is_written_reads_back() {
        let config = ModelConfig::default();
        let found = recorded(&metadata()).resolve(&config, None);
        assert_eq!(found.expect("complete"), metadata());
    }

    #[test]
    fn what_is_told_of_standing_still_reads_back() {
        let names = ["a", "b", "c", "d"];
        let features = names.iter().map(|name| FeatureSpec::new(*name, "up")).collect();
        let entity = vec!["instance".to_owned()];
        let metadata = Metadata {
            still: Some(StillSpec {
                features: names[1..].iter().map(|it| (*it).to_owned()).collect(),
                usual: 7,
            }),
            remembered: vec![Remembered::new(vec!["x".to_owned()]).with_still(Some(3))],
            ..Metadata::new(features, entity, Duration::from_ms(1_500))
        };
        assert!(metadata.is_stepwise(), "it counts steps");
        let mut recorded = recorded(&metadata);
        assert_eq!(recorded.resolve(&ModelConfig::default(), None).expect("our own"), metadata);
        recorded.still.as_mut().expect("it was read").features.pop();
        check_error(
            &recorded,
            &ModelConfig::default(),
            "still: 2 features say nothing of an entity",
        );
    }

    #[test]
    fn repeating_the_file_in_the_configuration_is_fine() {
        let expected = metadata();
        let config = ModelConfig {
            entity: Some(expected.entity.clone()),
            features: Some(expected.features.clone()),
            step: Some(expected.step),
            window: Some(expected.window),
            threshold: Some(expected.threshold),
            ..ModelConfig::default()
        };
        let found = recorded(&expected).resolve(&config, None);
        assert_eq!(found.expect("no contradiction"), expected);
    }

    #[test]
    fn what_is_not_there_is_not_written() {
        let metadata = Metadata { remembered: Vec::new(), ..metadata() };
        let names: Vec<String> = metadata.properties().into_iter().map(|(key, _)| key).collect();
        assert!(!names.iter().any(|it| it == "portent.remembered"), "{names:?}");
    }

    #[test]
    fn a_contradiction_names_both_values() {
        let recorded = recorded(&metadata());
        let config =
            ModelConfig { step: Some(Duration::from_seconds(15)), ..ModelConfig::default() };
        check_error(
            &recorded,
            &config,
            "step: the file says 1s500ms, the configuration says 15s; leave it out of the \
             configuration or use another file",
        );
    }

    /// The first only: there may be a hundred.
    #[test]
    fn of_other_features_the_first_difference_is_named() {
        let recorded = recorded(&metadata());
        let own = metadata().features;
        let with = |change: &dyn Fn(&mut Vec<FeatureSpec>)| {
            let mut features = own.clone();
            change(&mut features);
            let file = Some("m.onnx".into());
            ModelConfig { file, features: Some(features), ..ModelConfig::default() }
        };
        let check = |config: &ModelConfig, expected: &str| {
            let advice = "leave it out of the configuration or use another file";
            check_error(&recorded, config, &format!("{expected}; {advice}"));
        };
        let expr = with(&|it| (it[1].name, it[1].expr) = ("a".to_owned(), "up".to_owned()));
        check(&expr, "features: expr of \"a\": the file says swap, the configuration says up");
        let name = with(&|it| it.reverse());
        check(&name, "features: number 1: the file says b, the configuration says a");
        let few = with(&|it| it.truncate(1));
        check(&few, "features: number 2: the file says a, the configuration says nothing");
        let missing = with(&|it| it[1].missing = Missing::Mask);
        check(
            &missing,
            "features: missing of \"a\": the file says fill 0.5, the configuration says mask",
        );
        let untrained = ModelConfig { file: None, name: "host".to_owned(), ..expr };
        let error = recorded.resolve(&untrained, None).expect_err("none yet").to_string();
        let command = "`portent train --config.file FILE --model host --prometheus.url URL";
        assert!(error.contains(command) && error.contains("`file: host.onnx`"), "{error}");
        let entity = Some(vec!["job".to_owned()]);
        let untrained = ModelConfig { entity, ..ModelConfig::default() };
        let error = recorded.resolve(&untrained, None).expect_err("none yet");
        assert!(matches!(error, ArtifactError::Untrained { .. }), "{error}");
    }

    /// Training adds them, and the configuration that it was made with does not name them.
    #[test]
    fn a_median_is_what_training_found() {
        let with = |missing| {
            let mut metadata = metadata();
            metadata.features[0].missing = missing;
            metadata
        };
        let trained = with(Missing::Fill(0.25));
        let features = Some(with(Missing::FillMedian).features);
        let config = ModelConfig { features, ..ModelConfig::default() };
        let found = recorded(&trained).resolve(&config, None).expect("no contradiction");
        assert_eq!(found.features, trained.features);
        // Nobody has found it for a model from elsewhere.
        let error = with(Missing::FillMedian).validated().expect_err("a refusal");
        assert!(error.to_string().contains("fill VALUE"), "{error}");
    }

    #[test]
    fn clocks_in_the_file_are_no_contradiction() {
        let mut with_clocks = metadata();
        let configured = with_clocks.features.clone();
        with_clocks.level = None;
        with_clocks.remembered = Vec::new();
        with_clocks.ranges = Vec::new();
        with_clocks.features.extend([TIME_OF_DAY.spec(), TIME_OF_WEEK.spec()]);
        let config = ModelConfig { features: Some(configured), ..ModelConfig::default() };
        let found = recorded(&with_clocks).resolve(&config, None).expect("no contradiction");
        assert_eq!(found.features.len(), 4);
        let mut other = with_clocks.clone();
        other.features.push(FeatureSpec::new("another", "up"));
        assert!(recorded(&other).resolve(&config, None).is_err());
    }

    #[test]
    fn a_foreign_file_takes_everything_from_the_configuration() {
        let config = ModelConfig {
            features: Some(vec![FeatureSpec::new("a", "up")]),
            step: Some(Duration::from_seconds(15)),
            threshold: Some(0.5),
            ..ModelConfig::default()
        };
        let found = Recorded::default().resolve(&config, Some(4)).expect("complete");
        assert_eq!(found.entity, ["job", "instance"]);
        assert_eq!((found.window, found.threshold), (4, 0.5));
        assert_eq!(found.threshold_method, "configured");
        check_error(
            &Recorded::default(),
            &ModelConfig::default(),
            "neither the file nor the configuration tells the model's features, step, threshold; \
             a file that Portent did not write needs them in its item of `models`",
        );
    }

    #[test]
    fn nonsense_is_refused() {
        let recorded = recorded(&metadata());
        let zero = Recorded { threshold: Some(0.0), ..recorded.clone() };
        let config = ModelConfig::default();
        check_error(&zero, &config, "threshold: 0 is not a number above 0");
        let twice = Recorded {
            features: Some(vec![FeatureSpec::new("a", "b"), FeatureSpec::new("a", "c")]),
            ..recorded.clone()
        };
        check_error(&twice, &config, "features: \"a\" occurs twice");
        let range = |lower, upper| Some(FeatureRange { lower, upper });
        let few = Recorded { ranges: vec![None], ..recorded.clone() };
        check_error(&few, &config, "ranges: there are 1 for 2 features");
        let wrong = Recorded { ranges: vec![range(0.0, 0.0), range(2.0, 1.5)], ..recorded.clone() };
        check_error(&wrong, &config, "ranges: 2 to 1.5 is none");
        let unknown = Recorded {
            remembered: vec![Remembered::new(vec!["a".to_owned(); 2])],
            ..recorded.clone()
        };
        check_error(
            &unknown,
            &config,
            r#"remembered: entity ["a", "a"]: it needs 1 values, one an entity label"#,
        );
        let none = Recorded { window: Some(0), ..recorded };
        check_error(&none, &config, "window: it must be at least 1");
    }

    #[test]
    fn malformed_entries_are_named() {
        let mut recorded = Recorded::default();
        let error = recorded.read("portent.step", "soon").expect_err("no step");
        assert!(error.to_string().starts_with("portent.step is \"soon\": "));
        let error = recorded.read("portent.schema", "3").expect_err("later");
        assert!(error.to_string().contains("schema 3"), "{error}");
        assert!(recorded.read("portent.features", "[{}]").is_err());
        for text in
            ["{}", "[{}]", r#"[{"entity": [], "hours": {"last_hour": 1e99, "scores": []}}]"#]
        {
            let error = recorded.read("portent.remembered", text).expect_err("none").to_string();
            assert!(error.starts_with("portent.remembered is "), "{error}");
        }
        recorded.read("author", "soon").expect("not ours");
        recorded.read("portent.validation", "{}").expect("of an older file");
        for (key, value) in [
            ("portent.colour", "red"),
            ("portent.treshold", "1"),
            ("portent.level", r#"{"colour": "red"}"#),
            ("portent.still", r#"{"features": [], "usual": 1, "colour": "red"}"#),
            ("portent.features", r#"[{"name": "a", "expr": "a", "colour": "red"}]"#),
            ("portent.remembered", r#"[{"entity": [], "colour": "red"}]"#),
        ] {
            let error = recorded.read(key, value).expect_err("an unknown key").to_string();
            assert!(error.starts_with(key) && error.contains("unknown"), "{error}");
            // A later version may well have it.
            let entries = [(key, value), ("portent.schema", "3")];
            let error = Recorded::of(entries.into_iter()).expect_err("later").to_string();
            assert!(error.contains("schema 3, this version reads schema 2"), "{error}");
        }
        assert_eq!(recorded, Recorded::default());
    }
}

//! History: what a Prometheus-compatible server answers when it is asked for every feature over a
//! range of time.
//!
//! In: a URL, a range, PromQL texts. Out: a recording. The server evaluates the very texts that
//! serving evaluates, so that there is no second way to compute a feature. A range is asked for in
//! pieces, since servers refuse more than 11,000 steps at once. Gaps stay gaps.
//!
//! Source: Prometheus documentation "HTTP API", range queries; its `web/api/v1/api.go`.

use std::collections::HashMap;

use ndarray::Array2;
use reqwest::{Client, StatusCode, Url};

use super::recording::{EntityRecording, Recording};
use crate::features::{FeatureSpec, Missing};
use crate::labels::Labels;

mod answer;
mod error;

use answer::Element;
pub use error::HistoryError;

/// Steps of one query, at most: what Prometheus and its kin answer.
const MAX_STEPS: usize = 11_000;

/// Bytes of one answer that are kept, at most: a value takes about 30, so that this is a thousand
/// entities with all the steps of a query.
const MAX_ANSWER_BYTES: usize = 512 << 20;

/// Cells of a recording, at most: what 4 GiB hold as float32.
const MAX_CELLS: usize = 1 << 30;

/// A server that does not accept a connection within this time is taken to be away.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// Prometheus itself gives up on a query after two minutes; proxies take their time as well.
const ANSWER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(300);

/// What to ask for.
#[derive(Debug, Clone)]
pub(super) struct Range {
    /// The first step.
    pub start_ms: i64,
    /// No step is later.
    pub end_ms: i64,
    /// The distance between steps.
    pub step_ms: i64,
}

impl Range {
    /// The number of steps.
    fn steps(&self) -> usize {
        usize::try_from((self.end_ms - self.start_ms) / self.step_ms).map_or(0, |it| it + 1)
    }
}

/// Asks for every feature, one after the other. `on_query` is told how many queries are answered
/// and how many there are.
///
/// # Errors
/// Each with the next step to take; see [`HistoryError`].
pub(super) async fn fetch(
    url: &str,
    range: &Range,
    features: &[FeatureSpec],
    entity: &[String],
    on_query: &mut dyn FnMut(usize, usize),
) -> Result<Recording, HistoryError> {
    let server = Server::new(url)?;
    if range.step_ms <= 0 || range.end_ms < range.start_ms {
        return Err(HistoryError::Range);
    }
    let steps = range.steps();
    let starts: Vec<usize> = (0..steps).step_by(MAX_STEPS).collect();
    let queries = features.len() * starts.len();
    let mut collected = Collected::new(range, features.len());
    let mut answered = 0;
    for (i, feature) in features.iter().enumerate() {
        for &first in &starts {
            let count = MAX_STEPS.min(steps - first);
            let body = server.ask(&feature.expr, range, first, count).await;
            let body = body.map_err(|reason| reason.for_feature(feature, &server.shown))?;
            let elements = answer::parse(&body)
                .map_err(|reason| reason.for_feature(feature, &server.shown))?;
            for element in &elements {
                collected.add(i, feature, element, entity)?;
            }
            answered += 1;
            on_query(answered, queries);
        }
    }
    collected.finish(features)
}

/// A server's address.
struct Server {
    client: Client,
    url: Url,
    /// Without credentials, for messages.
    shown: String,
}

impl Server {
    fn new(text: &str) -> Result<Self, HistoryError> {
        let wrong = |reason: String| HistoryError::Url { url: text.to_owned(), reason };
        let mut url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(format!("its scheme is {:?}", url.scheme())));
        }
        let mut shown = url.clone();
        // These fail for addresses that cannot have credentials, and those have none to hide.
        let _ = shown.set_username("").and_then(|()| shown.set_password(None));
        let path = format!("{}/api/v1/query_range", url.path().trim_end_matches('/'));
        url.set_path(&path);
        // Fails when the program has chosen a provider already, which is just as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self { client, url, shown: shown.to_string().trim_end_matches('/').to_owned() })
    }

    /// One query over `count` steps from step `first` on. Gives the body of a successful answer.
    async fn ask(
        &self,
        expr: &str,
        range: &Range,
        first: usize,
        count: usize,
    ) -> Result<Vec<u8>, error::Reason> {
        let seconds = |step: usize| {
            let ms = range.start_ms + step as i64 * range.step_ms;
            format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000))
        };
        let step = format!("{}", range.step_ms as f64 / 1_000.0);
        // As a form: long expressions do not fit into an address.
        let form = [
            ("query", expr),
            ("start", &seconds(first)),
            ("end", &seconds(first + count - 1)),
            ("step", &step),
        ];
        let request = self.client.post(self.url.clone()).form(&form);
        let mut response = request.send().await.map_err(error::Reason::from_transport)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(error::Reason::from_transport)? {
            if body.len() + piece.len() > MAX_ANSWER_BYTES {
                return Err(error::Reason::TooLarge);
            }
            body.extend_from_slice(&piece);
        }
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(error::Reason::Credentials(status.as_u16()))
            }
            status => Err(answer::refusal(status.as_u16(), &body)),
        }
    }
}

/// Answers, put together.
struct Collected {
    start_ms: i64,
    step_ms: i64,
    steps: usize,
    features: usize,
    /// Where the values of an entity are.
    places: HashMap<Labels, usize>,
    entities: Vec<EntityRecording>,
    /// For each feature, the values that go to every entity; empty when there are none.
    common: Vec<Vec<f32>>,
    own: Vec<bool>,
}

impl Collected {
    fn new(range: &Range, features: usize) -> Self {
        Self {
            start_ms: range.start_ms,
            step_ms: range.step_ms,
            steps: range.steps(),
            features,
            places: HashMap::new(),
            entities: Vec::new(),
            common: vec![Vec::new(); features],
            own: vec![false; features],
        }
    }

    fn add(
        &mut self,
        feature: usize,
        spec: &FeatureSpec,
        element: &Element<'_>,
        entity: &[String],
    ) -> Result<(), HistoryError> {
        let twice = |labels: String| HistoryError::Twice {
            feature: spec.name.clone(),
            entity: labels,
            expr: spec.expr.clone(),
        };
        let labels = element.labels.without_metric_name();
        if labels.is_empty() {
            let (steps, start_ms, step_ms) = (self.steps, self.start_ms, self.step_ms);
            let common = &mut self.common[feature];
            common.resize(steps, f32::NAN);
            for (time_ms, value) in element.values() {
                if let Some(step) = step_at(time_ms, start_ms, step_ms, steps) {
                    put(&mut common[step], value).map_err(|()| twice("{}".to_owned()))?;
                }
            }
            return Ok(());
        }
        let lacking: Vec<&str> = (entity.iter().map(String::as_str))
            .filter(|name| labels.get(name).is_empty())
            .collect();
        if !lacking.is_empty() {
            return Err(HistoryError::NoEntity {
                feature: spec.name.clone(),
                labels: labels.to_string(),
                lacking: lacking.join(", "),
                entity: entity.join(", "),
            });
        }
        let key = labels.filtered(|name| entity.iter().any(|it| it == name));
        let place = self.place(key.clone())?;
        self.own[feature] = true;
        for (time_ms, value) in element.values() {
            if let Some(step) = step_at(time_ms, self.start_ms, self.step_ms, self.steps) {
                let cell = &mut self.entities[place].values[[step, feature]];
                put(cell, value).map_err(|()| twice(key.to_string()))?;
            }
        }
        Ok(())
    }

    fn place(&mut self, labels: Labels) -> Result<usize, HistoryError> {
        if let Some(place) = self.places.get(&labels) {
            return Ok(*place);
        }
        let cells = (self.entities.len() + 1) * self.steps * self.features;
        if cells > MAX_CELLS {
            return Err(HistoryError::TooMuch {
                entities: self.entities.len() + 1,
                steps: self.steps,
                features: self.features,
            });
        }
        let place = self.entities.len();
        self.entities.push(EntityRecording {
            labels: labels.clone(),
            values: Array2::from_elem((self.steps, self.features), f32::NAN),
        });
        self.places.insert(labels, place);
        Ok(place)
    }

    fn finish(mut self, specs: &[FeatureSpec]) -> Result<Recording, HistoryError> {
        let empty: Vec<&str> = (specs.iter().enumerate())
            .filter(|(i, spec)| {
                let fills = matches!(spec.missing, Missing::Fill(_));
                !self.own[*i] && self.common[*i].is_empty() && !fills
            })
            .map(|(_, spec)| spec.name.as_str())
            .collect();
        if self.entities.is_empty() || !empty.is_empty() {
            return Err(HistoryError::NoData {
                features: match empty.is_empty() {
                    true => "every feature that tells entities apart".to_owned(),
                    false => empty.join(", "),
                },
                from: crate::timestamp::format_ms(self.start_ms),
                steps: self.steps,
                step: crate::duration::Duration::from_ms(self.step_ms).to_string(),
            });
        }
        for (feature, common) in self.common.iter().enumerate() {
            for entity in &mut self.entities {
                for (cell, value) in entity.values.column_mut(feature).iter_mut().zip(common) {
                    if cell.is_nan() {
                        *cell = *value;
                    }
                }
            }
        }
        // The server's order may change from answer to answer; the same data makes the same file.
        self.entities.sort_by_cached_key(|it| it.labels.to_string());
        Ok(Recording {
            times_ms: (0..self.steps as i64)
                .map(|step| self.start_ms + step * self.step_ms)
                .collect(),
            step_ms: self.step_ms,
            entities: self.entities,
            own: self.own,
        })
    }
}

/// The step of a time; none for one that was not asked for.
fn step_at(time_ms: i64, start_ms: i64, step_ms: i64, steps: usize) -> Option<usize> {
    let step = usize::try_from((time_ms - start_ms + step_ms / 2).div_euclid(step_ms)).ok()?;
    (step < steps).then_some(step)
}

/// Puts a value where none may be yet. What is not finite is missing.
fn put(cell: &mut f32, value: f64) -> Result<(), ()> {
    let value = value as f32;
    if !value.is_finite() {
        return Ok(());
    }
    if cell.is_finite() {
        return Err(());
    }
    *cell = value;
    Ok(())
}

#[cfg(test)]
mod tests;

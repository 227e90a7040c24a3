//! Templates: the texts of a rule, filled in with the data of an alert.
//!
//! In: the `labels` and `annotations` of a rule, an alert. Out: the texts. The language is Jinja's, with the
//! number formats of Prometheus's templates (`humanize` and its kin) as filters. A text without braces stays
//! as it is.
//!
//! **Labels** identify an alert and must not change while it lives: their templates only see
//! what does not change either ([`LabelContext`]). **Annotations** see everything
//! ([`AnnotationContext`]). `summary` and `description` are there even if a rule does not have them; an empty
//! text removes one.
//!
//! A template that does not parse, or that uses an unknown name, is refused when the configuration is
//! read. One that fails later (a filter of a word, more than [`MAX_BYTES`] of text or [`FUEL`] steps) leaves
//! `<error expanding template: ...>` in its place, as in Prometheus: the alert goes out.
//!
//! Source: Prometheus documentation "Template reference"; its `template/template.go` for the formats.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, ErrorKind};
use serde::Serialize;

use super::format;

/// Bytes of one text, at most: a message of a chat takes 4 KiB.
const MAX_BYTES: usize = 4 << 10;

/// Steps of one text, at most: a loop over what an alert names takes some hundreds.
const FUEL: u64 = 100_000;

/// What an alert says of itself where its rule does not.
pub(super) const DEFAULT_ANNOTATIONS: [(&str, &str); 2] = [
    (
        "summary",
        "{% if is_fleet %}{{ active_entities }} entities of model {{ model }} are anomalous at once\
         {% else %}{{ entity_name }} is anomalous: score {{ score | humanize }}{% endif %}",
    ),
    (
        "description",
        "{% if is_fleet %}{{ score | humanizePercentage }} of them. Those with the largest scores: \
         {% for it in entities %}{{ it }}{% if not loop.last %}, {% endif %}{% endfor %}.\
         {% elif features %}Unusual are {% for it in features %}{{ it.name }} ({{ it.actual | humanize }}, \
         expected {{ it.expected | humanize }}, {{ it.share | humanizePercentage }} of the error)\
         {% if not loop.last %}, {% endif %}{% endfor %}.{% endif %}",
    ),
];

/// What templates of labels know.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct LabelContext<'a> {
    pub alertname: &'a str,
    pub model: &'a str,
    /// The labels of the entity; none of a fleet.
    pub labels: &'a BTreeMap<&'a str, &'a str>,
    pub is_fleet: bool,
}

/// What templates of annotations know.
#[derive(Debug, Serialize)]
pub(super) struct AnnotationContext<'a> {
    pub alertname: &'a str,
    pub model: &'a str,
    /// The labels of the alert: of the entity and of the rule.
    pub labels: BTreeMap<&'a str, &'a str>,
    pub is_fleet: bool,
    /// The entity in one word: its `instance`, or all of its labels.
    pub entity_name: String,
    /// The score; of a fleet, the share of its entities that are active.
    pub score: f64,
    /// What the score has to be above.
    pub threshold: f64,
    pub features: Vec<FeatureContext<'a>>,
    /// Of a fleet, how many are active, and those with the largest scores.
    pub active_entities: usize,
    pub entities: Vec<String>,
}

impl AnnotationContext<'static> {
    /// One in which there is something of everything.
    fn example(is_fleet: bool) -> Self {
        let (name, share) = ("cpu_busy", 0.5);
        Self {
            alertname: "Example",
            model: "node",
            labels: BTreeMap::from([("instance", "localhost:9100"), ("job", "node")]),
            is_fleet,
            entity_name: "localhost:9100".to_owned(),
            score: 1.5,
            threshold: 1.0,
            features: vec![FeatureContext { name, actual: 0.9, expected: 0.1, share }; 3],
            active_entities: 10,
            entities: vec!["localhost:9100".to_owned(); 3],
        }
    }
}

/// Whether an error is one of the text whatever is put into it.
fn is_of_the_text(kind: ErrorKind) -> bool {
    use ErrorKind::{UnknownFilter, UnknownFunction, UnknownMethod, UnknownTest};
    matches!(kind, UnknownFilter | UnknownFunction | UnknownMethod | UnknownTest)
}

/// What templates know of a feature.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct FeatureContext<'a> {
    pub name: &'a str,
    pub actual: f64,
    pub expected: f64,
    /// Its share of the error, 0 to 1.
    pub share: f64,
}

/// The names of the fields of [`LabelContext`].
const LABEL_NAMES: [&str; 4] = ["alertname", "model", "labels", "is_fleet"];

/// The names of the fields of [`AnnotationContext`] beside them.
const ANNOTATION_NAMES: [&str; 6] =
    ["entity_name", "score", "threshold", "features", "active_entities", "entities"];

/// A text.
#[derive(Debug)]
enum Text {
    /// One without braces.
    Plain(String),
    /// One of the environment's templates, by its name there.
    Template(String),
    /// One that is no template.
    Wrong(String),
}

/// The texts of a rule, ready for use.
#[derive(Debug, Default)]
pub struct RuleTemplates {
    environment: Environment<'static>,
    labels: Vec<(String, Text)>,
    annotations: Vec<(String, Text)>,
}

impl RuleTemplates {
    /// Of these labels and annotations.
    pub(super) fn new(
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> Self {
        let mut it = Self { environment: environment(), ..Self::default() };
        for (name, text) in labels {
            let text = it.compile(&format!("labels.{name}"), text, &[&LABEL_NAMES]);
            it.labels.push((name.clone(), text));
        }
        let own = annotations.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let default = DEFAULT_ANNOTATIONS.into_iter();
        let default = default.filter(|(name, _)| !annotations.contains_key(*name));
        for (name, text) in own.chain(default) {
            let known: [&[&str]; 2] = [&LABEL_NAMES, &ANNOTATION_NAMES];
            let text = it.compile(&format!("annotations.{name}"), text, &known);
            it.annotations.push((name.to_owned(), text));
        }
        it.annotations.sort_by(|(a, _), (b, _)| a.cmp(b));
        it
    }

    fn compile(&mut self, key: &str, text: &str, known: &[&[&str]]) -> Text {
        if !text.contains('{') {
            return Text::Plain(text.to_owned());
        }
        let added = self.environment.add_template_owned(key.to_owned(), text.to_owned());
        let template = match added.and_then(|()| self.environment.get_template(key)) {
            Ok(template) => template,
            Err(error) => return Text::Wrong(reason(text, &error)),
        };
        let names = || known.iter().copied().flatten().copied();
        let is_known = |it: &String| {
            names().any(|name| name == it) || self.environment.globals().any(|(name, _)| name == it)
        };
        let unknown = template.undeclared_variables(false).into_iter().filter(|it| !is_known(it));
        if let Some(unknown) = unknown.collect::<BTreeSet<_>>().first() {
            let names = names().collect::<Vec<_>>().join(", ");
            return Text::Wrong(format!("there is no {unknown:?} here; there is {names}"));
        }
        // Only a use shows that there is no such filter.
        for is_fleet in [false, true] {
            let tried = template.render(Value::from(Serde(AnnotationContext::example(is_fleet))));
            if let Err(error) = tried
                && is_of_the_text(error.kind())
            {
                return Text::Wrong(reason(text, &error));
            }
        }
        Text::Template(key.to_owned())
    }

    /// What is not a valid template: the key from inside the rule on, and why.
    pub(super) fn errors(&self) -> impl Iterator<Item = (String, &str)> {
        let all = [("labels", &self.labels), ("annotations", &self.annotations)];
        all.into_iter().flat_map(|(what, texts)| {
            texts.iter().filter_map(move |(name, text)| match text {
                Text::Wrong(reason) => Some((format!("{what}.{name}"), reason.as_str())),
                Text::Plain(_) | Text::Template(_) => None,
            })
        })
    }

    /// The labels of the rule for an alert. Empty ones are none.
    pub(super) fn labels(&self, context: LabelContext) -> Vec<(&str, String)> {
        self.render(&self.labels, &context)
    }

    /// The annotations of an alert. Empty ones are none.
    pub(super) fn annotations(&self, context: &AnnotationContext) -> Vec<(&str, String)> {
        self.render(&self.annotations, context)
    }

    fn render<'a>(
        &self,
        texts: &'a [(String, Text)],
        context: &impl Serialize,
    ) -> Vec<(&'a str, String)> {
        let render = |text: &Text| match text {
            Text::Plain(text) => text.clone(),
            Text::Template(key) => self.expand(key, context),
            Text::Wrong(reason) => failure(reason),
        };
        let all = texts.iter().map(|(name, text)| (name.as_str(), render(text)));
        all.filter(|(_, text)| !text.is_empty()).collect()
    }

    fn expand(&self, key: &str, context: &impl Serialize) -> String {
        let mut text = Bounded::default();
        let template = self.environment.get_template(key);
        match template.and_then(|it| {
            it.render_captured_to(Value::from(Serde(context)), &mut text).map(|_| ())
        }) {
            Ok(()) => String::from_utf8_lossy(&text.0).trim().to_owned(),
            Err(_) if text.0.len() >= MAX_BYTES => failure("it makes too long a text"),
            Err(error) => failure(&error.to_string()),
        }
    }
}

fn environment() -> Environment<'static> {
    let mut it = Environment::new();
    it.set_auto_escape_callback(|_| AutoEscape::None);
    it.set_fuel(Some(FUEL));
    it.add_filter("humanize", format::humanize);
    it.add_filter("humanize1024", format::humanize_1024);
    it.add_filter("humanizePercentage", format::humanize_percentage);
    it.add_filter("humanizeDuration", format::humanize_duration);
    it
}

/// What stands in the place of a text.
fn failure(reason: &str) -> String {
    format!("<error expanding template: {reason}>")
}

/// What is wrong with a text, and what many will have meant.
fn reason(text: &str, error: &minijinja::Error) -> String {
    let go = ["{{ $", "{{$", "{{ .", "{{."].iter().any(|it| text.contains(it));
    let hint = "; templates are Jinja's here: {{ labels.instance }} for {{ $labels.instance }}";
    let detail = error.detail().unwrap_or_default();
    format!("is not a valid template: {}: {detail}{}", error.kind(), if go { hint } else { "" })
}

/// A text of at most so many bytes.
#[derive(Debug, Default)]
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = MAX_BYTES - self.0.len();
        self.0.extend(&bytes[..bytes.len().min(room)]);
        match bytes.len() > room {
            true => Err(std::io::ErrorKind::FileTooLarge.into()),
            false => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    fn context() -> AnnotationContext<'static> {
        let feature =
            |name, actual, expected, share| FeatureContext { name, actual, expected, share };
        AnnotationContext {
            alertname: "HostAnomalous",
            model: "node",
            labels: BTreeMap::from([("instance", "web-1:9100"), ("severity", "page")]),
            is_fleet: false,
            entity_name: "web-1:9100".to_owned(),
            score: 2.345_678,
            threshold: 1.0,
            features: vec![
                feature("cpu_busy", 0.97, 0.2, 0.75),
                feature("memory_available", 1.5e9, 2e9, 0.25),
            ],
            active_entities: 0,
            entities: Vec::new(),
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let templates = RuleTemplates::new(&BTreeMap::new(), &texts(&[("summary", text)]));
        assert_eq!(templates.errors().next(), None);
        let all = templates.annotations(&context());
        let found = all.iter().find(|(name, _)| *name == "summary");
        assert_eq!(found.map(|(_, text)| text.as_str()).unwrap_or_default(), expected);
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        let templates = RuleTemplates::new(&texts(&[("team", text)]), &BTreeMap::new());
        let errors: Vec<_> = templates.errors().collect();
        let [(key, reason)] = &errors[..] else { panic!("{errors:?}") };
        assert_eq!(key, "labels.team");
        assert!(reason.contains(expected), "{reason}");
    }

    #[test]
    fn what_is_known_of_an_alert_is_in_its_texts() {
        check("plain", "plain");
        check(
            "{{ labels.instance }} ({{ alertname }}, {{ model }})",
            "web-1:9100 (HostAnomalous, node)",
        );
        check("{{ score | round(2) }} > {{ threshold }}", "2.35 > 1.0");
        check(
            "{{ features[0].name }}: {{ features[0].share | humanizePercentage }}",
            "cpu_busy: 75%",
        );
        check("{{ labels.nothing }}", "");
        check("{% if labels.severity == 'page' %}<b>{% endif %}", "<b>");
    }

    #[test]
    fn an_alert_says_what_is_unusual_even_if_its_rule_does_not() {
        let rule = texts(&[("runbook_url", "https://example.org")]);
        let templates = RuleTemplates::new(&BTreeMap::new(), &rule);
        let expected = [
            (
                "description",
                "Unusual are cpu_busy (970m, expected 200m, 75% of the error), memory_available (1.5G, \
                 expected 2G, 25% of the error)."
                    .to_owned(),
            ),
            ("runbook_url", "https://example.org".to_owned()),
            ("summary", "web-1:9100 is anomalous: score 2.346".to_owned()),
        ];
        assert_eq!(templates.annotations(&context()), expected);
        let fleet = AnnotationContext {
            is_fleet: true,
            score: 0.6,
            features: Vec::new(),
            active_entities: 30,
            entities: vec!["a".to_owned(), "b".to_owned()],
            ..context()
        };
        let expected = [
            ("description", "60% of them. Those with the largest scores: a, b.".to_owned()),
            ("runbook_url", "https://example.org".to_owned()),
            ("summary", "30 entities of model node are anomalous at once".to_owned()),
        ];
        assert_eq!(templates.annotations(&fleet), expected);
        let none = RuleTemplates::new(&BTreeMap::new(), &texts(&[("description", "")]));
        let found: Vec<&str> = none.annotations(&context()).iter().map(|it| it.0).collect();
        assert_eq!(found, ["summary"]);
    }

    #[test]
    fn labels_know_what_does_not_change() {
        let rule = texts(&[("team", "{{ labels.team | default('infra') }}"), ("severity", "page")]);
        let templates = RuleTemplates::new(&rule, &BTreeMap::new());
        assert_eq!(templates.errors().next(), None);
        let labels = BTreeMap::from([("instance", "a"), ("team", "db")]);
        let context = LabelContext { alertname: "A", model: "m", labels: &labels, is_fleet: false };
        let expected = [("severity", "page".to_owned()), ("team", "db".to_owned())];
        assert_eq!(templates.labels(context), expected);
        check_refused(
            "{{ score }}",
            "there is no \"score\" here; there is alertname, model, labels",
        );
    }

    #[test]
    fn what_is_no_template_is_refused() {
        check_refused("{{ labels.instance", "is not a valid template: syntax error");
        check_refused("{% if labels %}", "is not a valid template: syntax error");
        check_refused("{{ $labels.instance }}", "{{ labels.instance }} for {{ $labels.instance }}");
        check_refused("{{ .Labels.instance }}", "templates are Jinja's here");
        check_refused("{{ labels | nothing }}", "nothing");
        check_refused("{{ value }}", "there is no \"value\" here");
    }

    #[test]
    fn what_fails_later_is_said_in_its_place() {
        let error = "<error expanding template: ";
        for text in [
            "{{ labels.instance | humanize }}",
            "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
            "{% for i in range(9999) %}long{% endfor %}",
        ] {
            let templates = RuleTemplates::new(&BTreeMap::new(), &texts(&[("summary", text)]));
            assert_eq!(templates.errors().next(), None, "{text}");
            let all = templates.annotations(&context());
            assert!(all[1].1.starts_with(error) && all[1].1.len() < 300, "{all:?}");
        }
    }
}

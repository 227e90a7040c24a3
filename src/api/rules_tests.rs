//! Tests of what is told of rules and alerts.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::alerts::{self, Report};
use super::error::ApiError;
use super::form::Form;
use super::rules::RuleQuery;
use crate::bytesize::ByteSize;
use crate::detect::alert::{ActiveAlert, Alert, AlertRule, ModelAlertSnapshot};
use crate::detect::{AlertSnapshot, Evaluation, FeatureScore, ModelSnapshot, Snapshot};
use crate::features::Provenance;
use crate::labels::Labels;
use crate::promql::Expr;

const NOW: i64 = 1_700_000_000_000;

fn rule(yaml: &str) -> AlertRule {
    serde_yaml::from_str(yaml).expect("a rule")
}

fn model(name: &str, age_ms: i64) -> ModelSnapshot {
    ModelSnapshot {
        model: name.to_owned(),
        time_ms: NOW - age_ms,
        interval_ms: 15_000,
        threshold: 1.0,
        feature_names: ["cpu".to_owned()].into(),
        feature_selectors: Default::default(),
        explain_above: 0.8,
        entities: Vec::new(),
        evaluation: Evaluation {
            features_duration: Duration::from_millis(2),
            inference_duration: Duration::from_micros(500),
            ..Evaluation::default()
        },
    }
}

/// An alert for a host, which fires if it has fired.
fn active(rule: &AlertRule, model: &str, host: &str, fired_ms: Option<i64>) -> ActiveAlert {
    let own = [("alertname", &*rule.alert), ("instance", host), ("model", model)];
    let of_rule = rule.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    ActiveAlert {
        rule: Arc::from(&*rule.alert),
        model: Arc::from(model),
        entity: Some(Labels::from_pairs([("instance", host)]).expect("one name")),
        labels: Labels::from_pairs(own.into_iter().chain(of_rule)).expect("distinct"),
        alert: Alert {
            active_since_ms: NOW - 600_000 + 120,
            fired_ms,
            keep_firing_since_ms: None,
            unscored_since_ms: None,
            scored_ms: NOW,
            value: 2.5,
        },
        threshold: 1.0,
        is_scored: true,
        features: vec![FeatureScore {
            feature: 0,
            contribution: 1.0,
            actual: 0.9,
            expected: 0.1,
            provenance: Provenance::Own,
        }],
        feature_names: ["cpu".to_owned()].into(),
        named: Vec::new(),
        active_entities: 0,
        templates: Arc::new(rule.templates()),
    }
}

fn of_model(model: &str, active: Vec<ActiveAlert>) -> Arc<ModelAlertSnapshot> {
    Arc::new(ModelAlertSnapshot { model: Arc::from(model), time_ms: NOW, active, refused: 0 })
}

/// Rule `Slow` of model `a` is pending there, `Fast` of all models fires at `b` and is pending at `a`, and
/// `Calm` is inactive. What `old` fires of `Calm` is of an hour ago.
fn snapshot() -> Snapshot {
    let rules: Arc<[AlertRule]> = Arc::new([
        rule("{alert: Slow, models: [a], for: 90s, labels: {severity: page, team: '{{ model }}'}}"),
        rule("{alert: Fast, for: 0s, annotations: {summary: '{{ model }}', description: ''}}"),
        rule("{alert: Calm, models: [b, old], keep_firing_for: 500ms, labels: {severity: page}}"),
    ]);
    let [slow, fast, calm] = &*rules else { unreachable!("there are three") };
    let mut kept = active(fast, "b", "h2", Some(NOW - 60_000));
    kept.alert.keep_firing_since_ms = Some(NOW - 15_000);
    Snapshot {
        time_ms: NOW,
        models: vec![
            Arc::new(model("a", 5_000)),
            Arc::new(model("b", 0)),
            Arc::new(model("old", 3_600_000)),
        ],
        alerts: AlertSnapshot {
            models: vec![
                of_model("a", vec![active(fast, "a", "h1", None), active(slow, "a", "h1", None)]),
                of_model("b", vec![kept]),
                of_model("old", vec![active(calm, "old", "h9", Some(NOW))]),
            ],
            rules: Arc::clone(&rules),
            transitions: Vec::new(),
        },
        ..Snapshot::default()
    }
}

fn data(answer: Result<String, ApiError>) -> Value {
    let mut answer: Value = serde_json::from_str(&answer.expect("an answer")).expect("JSON");
    assert_eq!(answer["status"], "success");
    answer["data"].take()
}

fn ask(of: &Snapshot, query: &str) -> Value {
    let form = Form::parse(b"", query).expect("a form");
    let asked = RuleQuery::parse(&form).expect("good parameters");
    data(asked.answer(&Report::new(of, NOW, ByteSize::from_mib(1), &|| true)))
}

/// The names of the rules of the one group.
#[track_caller]
fn check(query: &str, expected: &[&str]) {
    let data = ask(&snapshot(), query);
    let groups = data["groups"].as_array().expect("a list");
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().expect("a list"));
    let names: Vec<&str> = rules.map(|rule| rule["name"].as_str().expect("a name")).collect();
    assert_eq!((names.as_slice(), groups.is_empty()), (expected, expected.is_empty()), "{query}");
}

#[track_caller]
fn check_refused(query: &str, expected: &str) {
    let form = Form::parse(b"", query).expect("a form");
    let error = RuleQuery::parse(&form).expect_err("bad parameters").to_string();
    assert_eq!(error, expected, "{query}");
}

#[test]
fn a_rule_in_full() {
    let snapshot = snapshot();
    let of_all = "anomaly_score > anomaly_score_threshold unless ignoring (state) anomaly_state{state=\"lasting\"}";
    let data = ask(&snapshot, "rule_name[]=Fast");
    let expected = json!({"groups": [{
        "name": "portent",
        "file": "portent",
        "rules": [{
            "state": "firing",
            "name": "Fast",
            "query": of_all,
            "duration": 0,
            "keepFiringFor": 300,
            "labels": {},
            "annotations": {"summary": "{{ model }}"},
            "alerts": [
                {
                    "labels": {"alertname": "Fast", "instance": "h1", "model": "a"},
                    "annotations": {"summary": "a"},
                    "state": "pending",
                    "activeAt": "2023-11-14T22:03:20.12Z",
                    "value": "2.5e+00",
                },
                {
                    "labels": {"alertname": "Fast", "instance": "h2", "model": "b"},
                    "annotations": {"summary": "b"},
                    "state": "firing",
                    "activeAt": "2023-11-14T22:03:20.12Z",
                    "keepFiringSince": "2023-11-14T22:13:05Z",
                    "value": "2.5e+00",
                },
            ],
            "health": "err",
            "lastError": "model \"old\" has not been evaluated since 2023-11-14T21:13:20Z",
            "evaluationTime": 0.0075,
            "lastEvaluation": "2023-11-14T22:13:20Z",
            "type": "alerting",
        }],
        "interval": 15,
        "limit": 0,
        "evaluationTime": 0.0075,
        "lastEvaluation": "2023-11-14T22:13:20Z",
    }]});
    assert_eq!(data, expected);
    let all = &ask(&snapshot, "")["groups"][0]["rules"];
    let slow = &all[0];
    assert_eq!((&slow["state"], &slow["health"]), (&json!("pending"), &json!("ok")));
    assert_eq!((&slow["duration"], &slow["lastError"]), (&json!(90), &Value::Null));
    assert_eq!(slow["lastEvaluation"], "2023-11-14T22:13:15Z");
    assert_eq!(slow["labels"], json!({"severity": "page", "team": "{{ model }}"}));
    let texts = slow["annotations"].as_object().expect("an object");
    assert_eq!(texts.keys().collect::<Vec<_>>(), ["description", "summary"]);
    assert!(
        slow["query"].as_str().is_some_and(|it| it.starts_with("anomaly_score{model=\"a\"} >"))
    );
    // What is of an hour ago is not told, and it is told why.
    let calm = &all[2];
    assert_eq!((&calm["state"], &calm["alerts"]), (&json!("inactive"), &json!([])));
    assert_eq!((&calm["health"], &calm["keepFiringFor"]), (&json!("err"), &json!(0.5)));
}

#[test]
fn the_order_of_fields_is_that_of_prometheus() {
    let form = Form::parse(b"", "rule_name[]=Fast").expect("a form");
    let asked = RuleQuery::parse(&form).expect("good parameters");
    let snapshot = snapshot();
    let report = Report::new(&snapshot, NOW, ByteSize::from_mib(1), &|| true);
    let text = asked.answer(&report).expect("an answer");
    let mut at = 0;
    for field in [
        "groups",
        "name",
        "file",
        "rules",
        "state",
        "name",
        "query",
        "duration",
        "keepFiringFor",
        "labels",
        "annotations",
        "alerts",
        "labels",
        "annotations",
        "state",
        "activeAt",
        "value",
        "keepFiringSince",
        "value",
        "health",
        "lastError",
        "evaluationTime",
        "lastEvaluation",
        "type",
        "interval",
        "limit",
        "evaluationTime",
        "lastEvaluation",
    ] {
        let found = text[at..].find(&format!("\"{field}\":"));
        at += found.unwrap_or_else(|| panic!("{field} after {}: {text}", &text[..at]));
    }
}

#[test]
fn rules_are_chosen_as_in_prometheus() {
    check("", &["Slow", "Fast", "Calm"]);
    check("type=alert", &["Slow", "Fast", "Calm"]);
    check("type=ALERT&nonsense=1&rule_name=Fast", &["Slow", "Fast", "Calm"]);
    check("type=record", &[]);
    check("rule_name[]=Calm&rule_name[]=Fast", &["Fast", "Calm"]);
    check("rule_name[]=", &[]);
    check("rule_group[]=portent&file[]=portent&group_limit=%2B1", &["Slow", "Fast", "Calm"]);
    check("rule_group[]=other", &[]);
    check("file[]=portent.yml", &[]);
    check("match[]={severity=\"page\"}", &["Slow", "Calm"]);
    check("match[]={severity=\"page\",team=\"\"}", &["Calm"]);
    check("match[]={team=\"{{ model }}\"}&match[]={severity=\"x\"}", &["Slow"]);
    check("match[]=up", &[]);
    for query in ["exclude_alerts=true", "exclude_alerts=T"] {
        let rules = &ask(&snapshot(), query)["groups"][0]["rules"];
        assert_eq!((&rules[1]["alerts"], &rules[1]["state"]), (&Value::Null, &json!("firing")));
    }
}

/// The sentences of Prometheus 3.5.
#[test]
fn refusals_are_those_of_prometheus() {
    check_refused("type=x", "invalid parameter \"type\": not supported value \"x\"");
    check_refused(
        "exclude_alerts=x",
        "invalid parameter \"exclude_alerts\": error converting exclude_alerts: strconv.ParseBool: \
         parsing \"x\": invalid syntax",
    );
    let limit = "invalid parameter \"group_limit\": group_limit needs to be";
    check_refused("group_limit=0", &format!("{limit} greater than 0"));
    let number = format!("{limit} a valid number: strconv.ParseInt: parsing");
    check_refused("group_limit=1.5", &format!("{number} \"1.5\": invalid syntax"));
    let large = "99999999999999999999";
    check_refused(
        &format!("group_limit={large}"),
        &format!("{number} \"{large}\": value out of range"),
    );
    let token = "invalid parameter \"group_next_token\":";
    check_refused(
        "group_next_token=abc",
        &format!("{token} group_limit needs to be present in order to paginate over the groups"),
    );
    check_refused(
        "group_limit=1&group_next_token=abc",
        &format!("{token} invalid group_next_token 'abc'. were rule groups changed?"),
    );
}

#[test]
fn alerts_of_rules_that_fire_come_first() {
    let snapshot = snapshot();
    let report = Report::new(&snapshot, NOW, ByteSize::from_mib(1), &|| true);
    let data = data(alerts::answer(&report));
    let found: Vec<(&Value, &Value)> = (data["alerts"].as_array().expect("a list").iter())
        .map(|it| (&it["labels"]["alertname"], &it["labels"]["model"]))
        .collect();
    let expected = [("Fast", "a"), ("Fast", "b"), ("Slow", "a")].map(|(a, b)| (json!(a), json!(b)));
    assert_eq!(found, expected.each_ref().map(|(a, b)| (a, b)));
    let slow = &data["alerts"][2];
    let said = "Unusual are cpu (900m, expected 100m, 100% of the error).";
    assert_eq!(slow["annotations"]["description"], said);
    assert_eq!(slow["annotations"]["summary"], "h1 is anomalous: score 2.5");
}

#[test]
fn without_rules_and_before_the_first_evaluation() {
    let none = Snapshot::default();
    assert_eq!(ask(&none, ""), json!({"groups": []}));
    let report = Report::new(&none, NOW, ByteSize::from_mib(1), &|| true);
    assert_eq!(data(alerts::answer(&report)), json!({"alerts": []}));
    let mut early = snapshot();
    early.models.clear();
    let group = &ask(&early, "")["groups"][0];
    let rule = &group["rules"][1];
    assert_eq!((&rule["state"], &rule["health"]), (&json!("inactive"), &json!("unknown")));
    for it in [group, rule] {
        assert_eq!(it["lastEvaluation"], "0001-01-01T00:00:00Z");
        assert_eq!(it["evaluationTime"], json!(0));
    }
    assert_eq!(group["interval"], json!(0));
}

#[test]
fn an_evaluation_that_failed_is_told() {
    let mut failed = snapshot();
    let mut of_a = model("a", 0);
    of_a.evaluation.model_error = Some("it broke".to_owned());
    failed.models[0] = Arc::new(of_a);
    let rule = &ask(&failed, "rule_name[]=Slow")["groups"][0]["rules"][0];
    // Its alerts go on.
    assert_eq!((&rule["state"], &rule["health"]), (&json!("pending"), &json!("err")));
    assert_eq!(rule["lastError"], "model \"a\": it broke");
}

/// Whatever models are called.
#[test]
fn a_query_is_promql() {
    for models in ["[]", "[a]", "[a, b]", r#"['a"\', 'b.*|(', "ä\n\t{}"]"#] {
        let mut of = snapshot();
        of.alerts.rules = Arc::new([rule(&format!("{{alert: A, models: {models}}}"))]);
        let query = ask(&of, "")["groups"][0]["rules"][0]["query"].take();
        let text = query.as_str().expect("a text");
        assert!(Expr::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn an_answer_is_bounded_and_can_be_given_up() {
    let snapshot = snapshot();
    let all = RuleQuery::parse(&Form::default()).expect("no parameters");
    for bytes in [100, 500, 1_000, 2_000] {
        let limit = ByteSize::from_bytes(bytes);
        let report = Report::new(&snapshot, NOW, limit, &|| true);
        let error = all.answer(&report).expect_err("it is longer").to_string();
        assert!(error.contains("query.max_response_bytes"), "{error}");
    }
    let report = Report::new(&snapshot, NOW, ByteSize::from_mib(1), &|| false);
    for answer in [all.answer(&report), alerts::answer(&report)] {
        let error = answer.expect_err("nobody waits").to_string();
        assert_eq!(error, "query timed out in expression evaluation");
    }
}

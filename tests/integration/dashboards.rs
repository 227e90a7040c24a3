//! The example dashboards and alerts show something: they are well formed, and a real Prometheus that
//! scraped a real Portent answers each of their queries.

mod picture;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::{Answer, Prometheus, Watched, repository, wait_until};
use portent::detect::AnomalyState;
use regex::Regex;
use serde_json::Value;

const GRAFANA: &str = "examples/grafana";
const RULES: &str = "examples/rules/portent.yml";

/// How long a new world may take until everything is seen: some scrapes, pushes and ticks of a second
/// each, on a machine that is busy with compilers.
const SOON: Duration = Duration::from_secs(120);

/// Parts of queries that have no answer where nothing is wrong, or where a model is not one that
/// Portent trained.
const MAY_BE_EMPTY: [&str; 11] = [
    "anomaly_features_out_of_range_ratio",
    "anomaly_feature_out_of_range_ratio",
    "portent_http_connections_limited_total",
    "portent_http_connections_timed_out_total",
    "portent_http_accept_errors_total",
    "portent_model_trained_to_timestamp_seconds",
    "anomaly_missing_features",
    "unless anomaly_score",
    "(anomaly_score_threshold{",
    "ALERTS{",
    "(anomaly_score) >= 5",
];

/// A query and where it stands.
#[derive(Debug, Clone)]
struct Query {
    place: String,
    expr: String,
}

fn dashboards() -> BTreeMap<String, Value> {
    let folder = repository().join(GRAFANA).join("dashboards");
    let files = fs::read_dir(folder).expect("the dashboards").map(|it| it.expect("a file").path());
    files.map(|file| (name(&file), json(&file))).collect()
}

fn name(file: &Path) -> String {
    file.file_stem().expect("a name").to_string_lossy().into_owned()
}

fn json(file: &Path) -> Value {
    let text = fs::read_to_string(file).expect("a file of the repository");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// YAML as JSON, so that everything here is of one kind.
fn yaml(file: &str) -> Value {
    let text = fs::read_to_string(repository().join(file)).expect("a file of the repository");
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn alerting() -> Value {
    yaml(&format!("{GRAFANA}/provisioning/alerting/portent.yml"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

#[track_caller]
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    let found = value[key].as_str().filter(|it| !it.is_empty());
    found.unwrap_or_else(|| panic!("no {key} in {value:#}"))
}

/// Those that show something.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(dashboard, "panels").iter().filter(|panel| panel["type"] != "row")
}

/// The place on the grid: left, top, right, bottom.
fn place(panel: &Value) -> [u64; 4] {
    let [x, y, w, h] =
        ["x", "y", "w", "h"].map(|it| panel["gridPos"][it].as_u64().expect("a number"));
    assert!(w > 0 && h > 0, "{panel:#}");
    [x, y, x + w, y + h]
}

fn overlap(a: [u64; 4], b: [u64; 4]) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

#[test]
fn dashboards_are_well_formed() {
    let dashboards = dashboards();
    let names: Vec<&str> = dashboards.keys().map(String::as_str).collect();
    assert_eq!(names, ["portent-operations", "portent-overview"]);
    for (name, dashboard) in &dashboards {
        assert_eq!(text(dashboard, "uid"), name, "a link to it holds for ever");
        assert!(dashboard["schemaVersion"].as_u64() >= Some(41), "{name}");
        let variables: BTreeSet<&str> =
            list(&dashboard["templating"], "list").iter().map(|it| text(it, "name")).collect();
        assert!(variables.is_superset(&BTreeSet::from(["datasource", "job", "instance", "model"])));
        let all = list(dashboard, "panels");
        let ids: BTreeSet<u64> = all.iter().map(|it| it["id"].as_u64().expect("an id")).collect();
        assert_eq!(ids.len(), all.len(), "{name}: two panels of one id");
        for (i, panel) in all.iter().enumerate() {
            assert!(place(panel)[2] <= 24, "wider than the grid: {panel:#}");
            let over = all[..i].iter().find(|other| overlap(place(panel), place(other)));
            assert!(over.is_none(), "{name}: {} lies over another", text(panel, "title"));
        }
    }
}

#[test]
fn every_panel_says_what_it_shows() {
    let kinds = ["timeseries", "stat", "table", "bargauge", "state-timeline"];
    for panel in dashboards().values().flat_map(panels) {
        assert!(kinds.contains(&text(panel, "type")), "{panel:#}");
        assert!(!text(panel, "title").is_empty());
        assert!(text(panel, "description").ends_with('.'), "{panel:#}");
        let defaults = &panel["fieldConfig"]["defaults"];
        text(defaults, "unit");
        assert!(!list(&defaults["thresholds"], "steps").is_empty(), "{panel:#}");
        let targets = list(panel, "targets");
        assert!(!targets.is_empty(), "{panel:#}");
        for target in targets.iter().chain([panel]) {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel:#}");
        }
    }
}

#[test]
fn the_panel_of_states_names_each_and_no_other() {
    let dashboards = dashboards();
    let mut all = panels(&dashboards["portent-overview"]);
    let panel = all.find(|it| text(it, "title") == "State").expect("the panel");
    let expr = text(&panel["targets"][0], "expr");
    let expr = expr.strip_prefix("max without (state) (").expect("one number for each host");
    let mapping = panel["fieldConfig"]["defaults"]["mappings"][0]["options"].as_object();
    let mapping = mapping.expect("numbers and what they are");
    assert_eq!(mapping.len(), AnomalyState::ALL.len());
    for (number, shown) in mapping {
        let name = text(shown, "text");
        assert!(AnomalyState::ALL.iter().any(|it| it.name() == name), "{name}");
        // 1 is the number of the series itself.
        let factor = if number == "1" { String::new() } else { format!("{number} * ") };
        let of = r#"job=~"$job",instance=~"$instance",model=~"$model""#;
        let series = format!(r#"{factor}anomaly_state{{{of},state="{name}"}}"#);
        assert!(expr.split(" or ").any(|it| it.starts_with(&series)), "{series}: {expr}");
    }
}

#[test]
fn alerts_lead_to_panels_and_find_their_contact_points() {
    let (alerting, dashboards) = (alerting(), dashboards());
    let sources = yaml(&format!("{GRAFANA}/provisioning/datasources/prometheus.yml"));
    let sources: Vec<&str> =
        list(&sources, "datasources").iter().map(|it| text(it, "uid")).collect();
    let rules: Vec<&Value> =
        list(&alerting, "groups").iter().flat_map(|group| list(group, "rules")).collect();
    assert!(!rules.is_empty());
    for rule in rules {
        let dashboard = &dashboards[text(rule, "dashboardUid")];
        assert!(panels(dashboard).any(|panel| panel["id"] == rule["panelId"]), "{rule:#}");
        let data = list(rule, "data");
        assert!(data.iter().any(|it| it["refId"] == rule["condition"]), "{rule:#}");
        for query in data {
            let source = text(query, "datasourceUid");
            assert!(source == "__expr__" || sources.contains(&source), "{query:#}");
        }
        for key in ["summary", "description"] {
            text(&rule["annotations"], key);
        }
    }
    let points: Vec<&str> =
        list(&alerting, "contactPoints").iter().map(|it| text(it, "name")).collect();
    let policy = &alerting["policies"][0];
    for route in list(policy, "routes").iter().chain([policy]) {
        assert!(points.contains(&text(route, "receiver")), "{route:#}");
    }
}

/// What Grafana puts in the places of variables: everything, and short ranges.
fn substituted(expr: &str) -> String {
    let mut expr = expr.to_owned();
    for (variable, value) in [
        ("$__rate_interval", "1m"),
        ("$__range", "1m"),
        ("$job", ".*"),
        ("$instance", ".*"),
        ("$model", ".*"),
        ("$feature", ".*"),
    ] {
        expr = expr.replace(variable, value);
    }
    assert!(!expr.contains('$'), "a variable that this test does not know: {expr}");
    expr
}

fn queries_of_dashboards() -> Vec<Query> {
    let values = Regex::new(r"^label_values\((.+), \w+\)$").expect("a regex of this file");
    let mut queries = Vec::new();
    for (name, dashboard) in &dashboards() {
        let mut add = |place: &str, expr: &str| {
            queries.push(Query { place: format!("{name}: {place}"), expr: substituted(expr) });
        };
        for panel in panels(dashboard) {
            for target in list(panel, "targets") {
                add(text(panel, "title"), text(target, "expr"));
            }
        }
        for variable in list(&dashboard["templating"], "list") {
            if variable["type"] == "query" {
                let query = text(&variable["query"], "query");
                let found = values.captures(query).unwrap_or_else(|| panic!("{query}"));
                add(text(variable, "name"), &found[1]);
            }
        }
        for annotation in list(&dashboard["annotations"], "list") {
            if annotation["expr"].is_string() {
                add(text(annotation, "name"), text(annotation, "expr"));
            }
        }
    }
    queries
}

fn queries_of_grafanas_alerts() -> Vec<Query> {
    let alerting = alerting();
    let rules = list(&alerting, "groups").iter().flat_map(|group| list(group, "rules"));
    let data = rules.flat_map(|rule| list(rule, "data").iter().map(move |it| (rule, it)));
    data.filter(|(_, it)| it["datasourceUid"] != "__expr__")
        .map(|(rule, it)| Query {
            place: text(rule, "title").to_owned(),
            expr: text(&it["model"], "expr").to_owned(),
        })
        .collect()
}

/// Expressions and the texts of annotations, which ask for more.
fn texts_of_rules() -> Vec<String> {
    let rules = yaml(RULES);
    let rules = list(&rules, "groups").iter().flat_map(|group| list(group, "rules"));
    rules
        .flat_map(|rule| {
            let annotations = rule["annotations"].as_object().into_iter().flatten();
            let annotations = annotations.filter_map(|(_, it)| it.as_str());
            annotations.chain([text(rule, "expr")]).map(str::to_owned).collect::<Vec<String>>()
        })
        .collect()
}

/// Waits until each has an answer.
///
/// # Panics
/// At once with the place, when one is no PromQL.
async fn all_have_answers(prometheus: &Prometheus, queries: &[Query]) {
    let mut left = queries.to_vec();
    wait_until(SOON, "every panel and alert to have data", async || {
        let mut without = Vec::new();
        for query in left.drain(..) {
            let is_answered = match prometheus.query(&query.expr, None).await {
                Ok(Answer::Vector(elements)) => !elements.is_empty(),
                Ok(Answer::Scalar(_)) => true,
                Err(error) => panic!("{}: {}: {error}", query.place, query.expr),
            };
            if !is_answered && !MAY_BE_EMPTY.iter().any(|it| query.expr.contains(it)) {
                without.push(query);
            }
        }
        left = without;
        let places: Vec<&str> = left.iter().map(|it| it.place.as_str()).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("without data: {places:#?}")) }
    })
    .await;
}

fn sources(folder: PathBuf) -> String {
    let files = fs::read_dir(folder).expect("a folder of sources");
    let read = |path: PathBuf| match path.is_dir() {
        true => sources(path),
        false => fs::read_to_string(path).expect("a source is text"),
    };
    files.map(|it| read(it.expect("an entry").path())).collect()
}

/// Every metric of Portent that is asked for is on its page, or is one that appears when something
/// goes wrong.
fn all_are_exported(page: &str, texts: &[String]) {
    let metric = Regex::new(r"\b(?:anomaly|portent)_[a-z_]+").expect("a regex of this file");
    let named: BTreeSet<&str> =
        texts.iter().flat_map(|it| metric.find_iter(it)).map(|it| it.as_str()).collect();
    let samples = page.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let shown: BTreeSet<&str> = samples
        .filter_map(|line| line.split(['{', ' ']).next())
        .flat_map(|name| [name, name.trim_end_matches("_bucket")])
        .collect();
    assert!(named.len() > 30, "{named:?}");
    let sources = sources(repository().join("src"));
    for name in named.difference(&shown) {
        let is_rare = MAY_BE_EMPTY.contains(name) && sources.contains(&format!("\"{name}\""));
        assert!(is_rare, "{name} is not among {shown:#?}");
    }
}

/// Alertmanager's alerts of a name, as their descriptions.
async fn descriptions(watched: &Watched, name: &str) -> Result<Vec<String>, String> {
    let alerts = watched.alerting.alertmanager.alerts().await?;
    let alerts = alerts.iter().filter(|it| it["labels"]["alertname"] == name);
    Ok(alerts.map(|it| text(&it["annotations"], "description").to_owned()).collect())
}

#[tokio::test]
async fn every_query_has_an_answer_and_the_alert_comes_with_its_reasons_and_goes() {
    let watched = Watched::start().await;
    // So that there are queries to count.
    let asked = watched.portent.get("/api/v1/query?query=node_load1").await.expect("an answer");
    assert_eq!(asked.status, 200, "{asked:?}");
    let queries = [queries_of_dashboards(), queries_of_grafanas_alerts()].concat();
    assert!(queries.len() > 60, "{queries:#?}");
    all_have_answers(&watched.prometheus, &queries).await;

    let page = wait_until(SOON, "an explained host on the page", async || {
        let page = watched.portent.get("/metrics").await?.body;
        if page.contains("anomaly_feature_expected{") { Ok(page) } else { Err(page) }
    })
    .await;
    let texts: Vec<String> =
        queries.into_iter().map(|it| it.expr).chain(texts_of_rules()).collect();
    all_are_exported(&page, &texts);

    let description = wait_until(SOON, "the alert at Alertmanager", async || {
        let found = descriptions(&watched, "HostAnomalous").await?;
        let whole = found.iter().find(|it| it.contains(" of the error, measured "));
        whole.cloned().ok_or_else(|| format!("{found:?}"))
    })
    .await;
    assert!(
        description.contains(" running: ") && description.contains(", expected "),
        "{description}"
    );

    let told = wait_until(SOON, "people to be told", async || {
        let told = watched.alerting.webhook.notified("HostAnomalous", "firing");
        if told.is_empty() { Err("nobody was told".to_owned()) } else { Ok(told) }
    })
    .await;
    let pages = picture::draw(&watched.prometheus, &dashboards()).await;
    println!("as people see it: {}", pages.display());

    watched.node_exporter.server().signal("TERM");
    wait_until(SOON, "the alert to be over", async || {
        let found = descriptions(&watched, "HostAnomalous").await?;
        let told = watched.alerting.webhook.notified("HostAnomalous", "resolved");
        if found.is_empty() && told.len() == 1 {
            Ok(())
        } else {
            Err(format!("{found:?} {told:?}"))
        }
    })
    .await;
    let told_again = watched.alerting.webhook.notified("HostAnomalous", "firing");
    assert_eq!(told_again, told[..1], "one trouble is one message");
}

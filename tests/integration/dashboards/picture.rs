//! The dashboards as a page that can be looked at without Grafana: their own queries, asked of a real
//! Prometheus and drawn by the report's plots.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portent::report::{Bar, Bars, Page, Plot, Table, TimeSeries, TimedSeries};
use regex::{Captures, Regex};
use serde_json::Value;

use super::{list, panels, substituted, text};
use crate::support::{Answer, Prometheus};

/// The time that is drawn: the world of the test is young.
const RANGE: Duration = Duration::from_secs(180);

/// Draws all panels and says where the page is.
pub async fn draw(prometheus: &Prometheus, dashboards: &BTreeMap<String, Value>) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let now_ms = now.as_millis() as i64;
    let mut page = Page::new("Dashboards");
    page.lead("The queries of examples/grafana, answered by a Prometheus that scraped a Portent.");
    for (name, dashboard) in dashboards {
        let mut drawn = 0;
        for panel in panels(dashboard) {
            let title = substituted(text(panel, "title"));
            page.section(&format!("{name}: {title}"), text(panel, "description"));
            drawn += match text(panel, "type") {
                "timeseries" | "state-timeline" => {
                    course(&mut page, prometheus, panel, now_ms).await
                }
                "bargauge" => bars(&mut page, prometheus, panel, now_ms).await,
                _ => rows(&mut page, prometheus, panel, now_ms).await,
            };
        }
        let all = panels(dashboard).count();
        assert!(drawn * 4 > all * 3, "{name}: {drawn} of {all} panels show something");
    }
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("dashboards.html");
    fs::write(&file, page.render()).expect("the folder for what tests write");
    file
}

/// What the legend says of a series.
fn legend(target: &Value, labels: &BTreeMap<String, String>) -> String {
    let format = target["legendFormat"].as_str().unwrap_or("__auto");
    if format == "__auto" {
        return labels.values().cloned().collect::<Vec<_>>().join(" ");
    }
    let place = Regex::new(r"\{\{\s*(\w+)\s*\}\}").expect("a regex of this file");
    let value = |found: &Captures<'_>| labels.get(&found[1]).cloned().unwrap_or_default();
    place.replace_all(format, value).into_owned()
}

/// A panel over time; 1 when it shows something.
async fn course(page: &mut Page, prometheus: &Prometheus, panel: &Value, now_ms: i64) -> usize {
    let mut series = Vec::new();
    for target in list(panel, "targets") {
        let expr = substituted(text(target, "expr"));
        let from_ms = now_ms - RANGE.as_millis() as i64;
        let found = prometheus.query_range(&expr, from_ms, now_ms, 1_000).await;
        for it in found.unwrap_or_else(|error| panic!("{expr}: {error}")) {
            let name = legend(target, &it.labels);
            series.push(TimedSeries { name, points: it.samples });
        }
    }
    let is_shown = series.iter().any(|it| it.points.iter().any(|(_, value)| value.is_finite()));
    let y_label = text(&panel["fieldConfig"]["defaults"], "unit").to_owned();
    let title = substituted(text(panel, "title"));
    let plot = TimeSeries { title, y_label, series, ..TimeSeries::default() };
    page.plot(&Plot::TimeSeries(plot), "");
    usize::from(is_shown)
}

/// What a query gives now, with its legend.
async fn now(prometheus: &Prometheus, target: &Value, now_ms: i64) -> Vec<(String, f64)> {
    let expr = substituted(text(target, "expr"));
    match prometheus.query(&expr, Some(now_ms)).await {
        Ok(Answer::Vector(elements)) => {
            let named = elements.into_iter();
            named.map(|it| (legend(target, &it.labels), it.value)).collect()
        }
        Ok(Answer::Scalar(value)) => vec![(String::new(), value)],
        Err(error) => panic!("{expr}: {error}"),
    }
}

async fn bars(page: &mut Page, prometheus: &Prometheus, panel: &Value, now_ms: i64) -> usize {
    let mut bars = Vec::new();
    for target in list(panel, "targets") {
        let found = now(prometheus, target, now_ms).await.into_iter();
        bars.extend(found.map(|(label, value)| Bar { label, value }));
    }
    let is_shown = !bars.is_empty();
    let title = substituted(text(panel, "title"));
    let x_label = text(&panel["fieldConfig"]["defaults"], "unit").to_owned();
    let plot = Bars { title, x_label, bars, ..Bars::default() };
    page.plot(&Plot::Bars(plot), "");
    usize::from(is_shown)
}

async fn rows(page: &mut Page, prometheus: &Prometheus, panel: &Value, now_ms: i64) -> usize {
    let mut rows = Vec::new();
    for target in list(panel, "targets") {
        let query = target["refId"].as_str().unwrap_or("").to_owned();
        let found = now(prometheus, target, now_ms).await.into_iter();
        rows.extend(found.map(|(of, value)| vec![query.clone(), of, format!("{value:.3}")]));
    }
    let is_shown = !rows.is_empty();
    let columns = ["query", "of", "value"].map(str::to_owned).to_vec();
    page.table(&Table { columns, rows, emphasis: None });
    usize::from(is_shown)
}

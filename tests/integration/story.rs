//! The log of a running Portent: what an operator is told, in both formats.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::{
    Portent, RemoteWriter, Series, run_portent, wait_until, write_sum_of_squares,
};
use tempfile::TempDir;

/// How long anything that takes a tick or two may take here.
const SOON: Duration = Duration::from_secs(30);

/// Averages over a minute, evaluated every second.
fn config(model: &str) -> String {
    format!(
        "global:\n  evaluation_interval: 1s\n  stale_after: 2m\nmodels:\n- name: squares\n  file: {model}\n  \
         entity: [instance]\n  step: 1s\n  threshold: 2\n  features:\n  - name: a\n    \
         expr: avg_over_time(m_a[1m])\n  - name: b\n    expr: avg_over_time(m_b[1m])\n"
    )
}

/// Samples of both metrics of an instance, so many, the last one of now and the others 5 s apart.
async fn push(portent: &Portent, instance: &str, (a, b): (f64, f64), count: i64) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let now_ms = i64::try_from(since.as_millis()).expect("a clock before the far future");
    let one = |name: &str, value: f64| {
        let samples: Vec<(i64, f64)> =
            (0..count).rev().map(|i| (now_ms - i * 5_000, value)).collect();
        Series::new(&[("__name__", name), ("instance", instance)], &samples)
    };
    let series = [one("m_a", a), one("m_b", b)];
    let reply = RemoteWriter::new(portent.url("/api/v1/write")).send(&series).await;
    assert_eq!(reply.status, 204, "{reply:?}");
}

/// The first line of the log that has this in it.
async fn line(portent: &Portent, wanted: &str) -> String {
    wait_until(SOON, wanted, async || {
        let log = portent.server.log();
        let line = log.lines().find(|line| line.contains(wanted)).map(str::to_owned);
        line.ok_or(log)
    })
    .await
}

#[tokio::test]
async fn an_operator_reads_what_happens() {
    let dir = TempDir::new().expect("a temporary folder");
    let portent = Portent::start(&config(&write_sum_of_squares(&dir, 2)), &[]).await;
    portent.ready().await;

    push(&portent, "db-1", (0.1, 0.1), 18).await;
    let first = line(&portent, "first push from a sender").await;
    for field in
        ["level=info ", " address=127.0.0.1 ", " user_agent=", "protocol=\"remote write 1.0\""]
    {
        assert!(first.contains(field), "{field}: {first}");
    }
    let here = line(&portent, "an entity appears and has a score: db-1").await;
    assert!(here.contains(" model=squares entities=1"), "{here}");

    // A single sample tells nothing about a minute.
    push(&portent, "web-1", (0.1, 0.1), 1).await;
    line(&portent, "an entity appears and warms up, its first score within 1m: web-1").await;

    push(&portent, "db-1", (100.0, 1_000.0), 1).await;
    let above = line(&portent, "a score is above its threshold: db-1 (").await;
    assert!(above.contains(" of 1.00, b, a)"), "{above}");

    // All of it was said once, in the order in which it happened, after it was ready.
    let log = portent.server.log();
    assert_eq!(log.matches("first push").count(), 1, "{log}");
    let places =
        ["Starting Portent", "model loaded", "Listening on", "first push", "appears and has"];
    let places = places.map(|text| log.find(text).expect(text));
    assert!(places.is_sorted(), "{log}");
}

#[tokio::test]
async fn json_lines_have_the_same_keys() {
    let dir = TempDir::new().expect("a temporary folder");
    let config = config(&write_sum_of_squares(&dir, 2));
    let file = dir.path().join("portent.yml");
    std::fs::write(&file, config.replace("threshold: 2", "treshold: 2")).expect("writable");
    let output =
        run_portent(&["serve", "--log.format=json", &format!("--config.file={}", file.display())]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = said.lines().map(|line| serde_json::from_str(line).expect(line));
    let lines: Vec<serde_json::Value> = lines.collect();
    for line in &lines {
        let is_text = |key: &str| line[key].is_string();
        assert!(is_text("ts") && is_text("level") && is_text("msg"), "{line}");
    }
    let last = lines.last().expect("a reason");
    assert_eq!((&last["level"], &last["msg"]), (&"error".into(), &"cannot serve".into()));
    assert!(last["error"].as_str().is_some_and(|it| it.contains("treshold")), "{last}");
}

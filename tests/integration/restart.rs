//! What outlives the process: scores after a restart, and what becomes of files that are damaged.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::{Portent, wait_until};
use portent::model::Dim;
use portent::model::graph::{Attribute, Graph};
use tempfile::TempDir;

/// How long anything that takes a tick may take here.
const SOON: Duration = Duration::from_secs(30);

/// The sum of all values of a window of thirty steps of one feature.
fn write_model(path: &Path) {
    let rows = Dim::Dynamic("N".to_owned());
    let mut graph = Graph::new("sum");
    let drop = [Attribute::Int("keepdims", 0)];
    graph
        .input("features", &[rows.clone(), Dim::Fixed(30), Dim::Fixed(1)])
        .integers("axes", &[1, 2]);
    graph.node_with("ReduceSum", &["features", "axes"], "score", &drop).output("score", &[rows]);
    fs::write(path, graph.encode(Vec::new())).expect("a fresh folder takes a file");
}

fn config(model: &Path) -> String {
    format!(
        "global:\n  evaluation_delay: 0s\n  stale_after: 2m\nmodels:\n- name: sum\n  file: {}\n  \
         entity: [instance]\n  step: 1s\n  window: 30\n  threshold: 1\n  features:\n  - name: a\n    \
         expr: m_a\n",
        model.display()
    )
}

const SCORE: &str = "anomaly_score{instance=\"h\",model=\"sum\"} ";

/// A window takes half a minute to fill. After a restart it is full before anything was sent.
#[tokio::test]
async fn scores_go_on_after_a_restart() {
    let dir = TempDir::new().expect("a temporary folder");
    let model = dir.path().join("model.onnx");
    write_model(&model);
    let data = format!("--storage.path={}", dir.path().join("data").display());
    let mut portent = Portent::start(&config(&model), &[&data]).await;
    portent.ready().await;
    let log = portent.server.log();
    assert!(log.contains("nothing is remembered yet"), "{log}");
    portent.push("m_a", &["h"]).await;
    let page = wait_until(Duration::from_secs(120), "a full window", async || {
        let page = portent.get("/metrics").await?.body;
        if page.contains(SCORE) { Ok(page) } else { Err(page) }
    })
    .await;
    assert!(page.contains(&format!("{SCORE}30\n")), "{page}");
    portent.server.signal("TERM");
    assert!(portent.server.wait_for_end(SOON).await.success());
    let log = portent.server.log();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    let state = dir.path().join("data/state");
    let whole = fs::read(&state).expect("what is remembered");

    let portent = Portent::start(&config(&model), &[&data]).await;
    portent.ready().await;
    let log = portent.server.log();
    assert!(
        log.contains("the remembered state was restored") && log.contains("entities=1"),
        "{log}"
    );
    portent.page_with(SCORE, SOON).await;
    portent.page_with("portent_state_restored_entities 1", SOON).await;
    drop(portent);

    // Half a file, as a disk leaves it that fails.
    fs::write(&state, &whole[..whole.len() / 2]).expect("written");
    let portent = Portent::start(&config(&model), &[&data]).await;
    portent.ready().await;
    let log = portent.server.log();
    assert!(log.contains("cannot read the remembered state"), "{log}");
    assert!(!portent.get("/metrics").await.expect("a page").body.contains(SCORE));
    assert_eq!(
        fs::read(dir.path().join("data/state.unreadable")).expect("put aside").len(),
        whole.len() / 2
    );
}

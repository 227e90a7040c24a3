//! Exclusions that exclude nothing are told.

use std::sync::mpsc::{Sender, channel};

use super::*;

struct Line(Sender<Vec<u8>>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is logged about a query that excludes steps, by line.
fn told(exclusion: &str) -> Vec<String> {
    let server = TestServer::start(|asked, _| match asked.form["query"].as_str() {
        "x" => two_entities(asked),
        "with the port" => {
            matrix(r#"{"metric":{"alertname":"A","instance":"a:9100"},"values":[[0,"1"]]}"#)
        }
        "fits" => matrix(r#"{"metric":{"alertname":"A","instance":"a"},"values":[[0,"1"]]}"#),
        _ => matrix(""),
    });
    let mut query = query(&server.url(), &[(0, 60)], 60, &[("a", "x")]);
    query.exclude.queries = vec![exclusion.to_owned()];
    let (sender, receiver) = channel();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || Line(sender.clone()))
        .finish();
    tracing::subscriber::with_default(subscriber, || fetched(&query).expect("a recording"));
    let bytes: Vec<u8> = receiver.try_iter().flatten().collect();
    let text = String::from_utf8(bytes).expect("text");
    text.lines().filter(|it| it.contains("excludes nothing")).map(str::to_owned).collect()
}

#[test]
fn an_exclusion_that_excludes_nothing_is_told() {
    assert_eq!(told("fits"), [""; 0]);
    let lines = told("with the port");
    assert!(lines.len() == 1 && lines[0].contains("WARN"), "{lines:?}");
    assert!(lines[0].contains("matches no entity") && lines[0].contains("a:9100"), "{lines:?}");
    let lines = told("ALERTS{alertstate=\"fring\"}");
    assert!(lines.len() == 1 && lines[0].contains("INFO"), "{lines:?}");
    assert!(lines[0].contains("no result at any step") && lines[0].contains("fring"), "{lines:?}");
}

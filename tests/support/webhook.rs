//! A receiver of Alertmanager's webhook notifications that keeps what it got.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

type Received = Arc<Mutex<Vec<Value>>>;

/// A running receiver; it ends when it is dropped.
#[derive(Debug)]
pub struct Webhook {
    url: String,
    received: Received,
    task: JoinHandle<()>,
}

impl Webhook {
    /// Starts it on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("a bound socket"));
        let received = Received::default();
        let task = tokio::spawn(accept(listener, Arc::clone(&received)));
        Self { url, received, task }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The notifications in which an alert of this name has this status (`firing` or `resolved`), as that
    /// alert: one for each time that people would have been called.
    pub fn notified(&self, alert: &str, status: &str) -> Vec<Value> {
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        let alerts = received.iter().filter_map(|it| it["alerts"].as_array()).flatten();
        let wanted = |it: &&Value| it["labels"]["alertname"] == alert && it["status"] == status;
        alerts.filter(wanted).cloned().collect()
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, received: Received) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, Arc::clone(&received)));
    }
}

async fn answer(stream: TcpStream, received: Received) {
    let service = service_fn(move |request: Request<Incoming>| {
        let received = Arc::clone(&received);
        async move {
            let body = request.into_body().collect().await.expect("a whole notification");
            let body = serde_json::from_slice(&body.to_bytes()).expect("a notification is JSON");
            received.lock().unwrap_or_else(PoisonError::into_inner).push(body);
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    // A peer that leaves is none of our business.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

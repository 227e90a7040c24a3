//! A server that is called: it keeps every request, and answers, redirects or hangs as it is told.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, LOCATION};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

/// What it does with a request once that is there.
#[derive(Debug, Clone)]
pub enum Reaction {
    /// Answers with a status and a text.
    Answer(u16, &'static str),
    /// Sends elsewhere (307).
    Redirect(String),
    /// Never answers.
    Hang,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Call {
    /// Path and query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

impl Call {
    /// Its body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// A header's text.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("{name}: {self:?}"));
        value.to_str().expect("text")
    }
}

type Shared = Arc<Mutex<(Vec<Call>, Reaction)>>;

/// The server.
#[derive(Debug)]
pub struct Hook {
    /// Where it is, without a path.
    pub url: String,
    state: Shared,
}

impl Hook {
    /// One that answers with 200 until it is told otherwise.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket"));
        let state = Shared::new(Mutex::new((Vec::new(), Reaction::Answer(200, ""))));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url, state }
    }

    /// What it does from now on.
    pub fn reacts(&self, reaction: Reaction) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = reaction;
    }

    /// All requests, in the order in which they came.
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

async fn serve(stream: TcpStream, state: Shared) {
    let service = service_fn(move |request: Request<Incoming>| {
        let state = Arc::clone(&state);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.expect("a whole request").to_bytes();
            let body = String::from_utf8_lossy(&body).into_owned();
            let path = head.uri.to_string();
            let reaction = {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                state.0.push(Call { path, headers: head.headers, body });
                state.1.clone()
            };
            let response = match reaction {
                Reaction::Answer(status, text) => {
                    Response::builder().status(status).body(Full::new(Bytes::from(text)))
                }
                Reaction::Redirect(to) => {
                    Response::builder().status(307).header(LOCATION, to).body(Full::default())
                }
                Reaction::Hang => std::future::pending().await,
            };
            Ok::<_, Infallible>(response.expect("a status"))
        }
    });
    // A peer that leaves is none of our business.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

//! The server: accepts connections, serves each in a task, drains them at the end.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use metrics::{counter, describe_counter, describe_gauge, gauge};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::activity::Activity;
use super::answer::Outgoing;
use super::stream::Stream;
use super::{MAX_HEAD_BYTES, MAX_HEADERS, Peer, RequestBody, WebConfig};

/// A pause after the system has refused a connection (out of file descriptors, most likely), so
/// that the loop does not spin until some are free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long the rest of a refused body is read and thrown away. Closing with bytes unread resets
/// the connection, and the sender might lose the answer that tells it not to come again.
const LINGER: Duration = Duration::from_secs(1);

/// Serves connections until `stop` is done and those that are open then are drained.
///
/// Returns how many had to be cut off.
pub async fn serve<H, F, B>(
    listener: TcpListener,
    config: &WebConfig,
    handler: H,
    stop: impl Future<Output = ()>,
) -> usize
where
    H: Fn(Request<RequestBody>) -> F + Clone + Send + Unpin + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let places = Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS)));
    let (draining, drain) = watch::channel(false);
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        // Ended tasks are collected here, so that the set does not grow.
        while connections.try_join_next().is_some() {}
        if places.available_permits() == 0 {
            counter!("portent_http_connections_limited_total").increment(1);
        }
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            () = &mut stop => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                counter!("portent_http_connections_accepted_total").increment(1);
                let connection = connection(stream, config.clone(), handler.clone(), drain.clone());
                let open = Open::new();
                connections.spawn(async move {
                    connection.await;
                    drop((place, open));
                });
            }
            Err(error) => {
                counter!("portent_http_accept_errors_total").increment(1);
                tracing::debug!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let _ = draining.send(true);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(config.shutdown_timeout.to_std(), all).await;
    let cut_off = connections.len();
    connections.shutdown().await;
    cut_off
}

/// An open connection, counted for as long as it is.
struct Open;

impl Open {
    fn new() -> Self {
        gauge!("portent_http_connections").increment(1.0);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        gauge!("portent_http_connections").decrement(1.0);
    }
}

/// Serves one connection until either side ends it.
async fn connection<H, F, B>(
    stream: TcpStream,
    config: WebConfig,
    handler: H,
    mut drain: watch::Receiver<bool>,
) where
    H: Fn(Request<RequestBody>) -> F + Send + Unpin,
    F: Future<Output = Response<B>> + Send,
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // Answers are small and awaited; a delay to fill packets only costs time.
    let _ = stream.set_nodelay(true);
    let activity = Activity::new();
    let seen = Arc::clone(&activity);
    let service = service_fn(move |request: Request<Incoming>| {
        seen.begin(request.body().size_hint().exact());
        let mut request = request.map(|body| RequestBody::new(body, Arc::clone(&seen)));
        request.extensions_mut().insert(Peer(Arc::clone(&seen)));
        let answer = handler(request);
        let activity = Arc::clone(&seen);
        // hyper wants to move the future about while it closes gracefully.
        Box::pin(async move {
            let response = answer.await;
            activity.end();
            Ok::<_, Infallible>(response.map(|body| Outgoing::new(body, activity)))
        })
    });
    let stream = TokioIo::new(Stream::new(stream, Arc::clone(&activity)));
    let mut connection = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(stream, service);
    let overdue = activity.overdue(config.header_timeout.to_std(), config.idle_timeout.to_std());
    tokio::pin!(overdue);
    let mut draining = false;
    let served = loop {
        tokio::select! {
            served = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => break served,
            () = &mut overdue => {
                counter!("portent_http_connections_timed_out_total").increment(1);
                return;
            }
            changed = drain.changed(), if !draining => {
                draining = true;
                if changed.is_ok() {
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                }
            }
        }
    };
    let (mut stream, is_refused) = connection.into_parts().io.into_inner().into_parts();
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
        if !is_refused {
            return;
        }
        let answer = refusal(&error);
        let _ = tokio::time::timeout(LINGER, stream.write_all(answer.as_bytes())).await;
    }
    // At the end of the program there is no time for senders of refused bodies.
    if !draining {
        linger(stream).await;
    }
}

/// The answer to a head that hyper does not understand, counted.
fn refusal(error: &hyper::Error) -> String {
    let too_large = (
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "too_large",
        format!(
            "the head of the request has more than {MAX_HEAD_BYTES} bytes or {MAX_HEADERS} headers"
        ),
    );
    let (status, reason, text) = match error.is_parse_too_large() {
        true => too_large,
        false => (
            StatusCode::BAD_REQUEST,
            "malformed",
            format!("the head of the request cannot be read: {error}"),
        ),
    };
    counter!("portent_http_heads_refused_total", "reason" => reason).increment(1);
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{text}\n",
        text.len() + 1
    )
}

/// Closes our side, then reads what the peer still sends for a moment.
async fn linger(mut stream: TcpStream) {
    let rest = async {
        stream.shutdown().await?;
        let mut waste = vec![0; 16 << 10];
        while stream.read(&mut waste).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    let _ = tokio::time::timeout(LINGER, rest).await;
}

/// Says what this room's metrics mean.
pub fn describe_metrics() {
    describe_gauge!("portent_http_connections", "Open connections.");
    describe_counter!("portent_http_connections_accepted_total", "Accepted connections.");
    describe_counter!(
        "portent_http_connections_limited_total",
        "How often web.max_connections was reached, so that new connections had to wait."
    );
    describe_counter!(
        "portent_http_connections_timed_out_total",
        "Connections that were closed because the peer was too slow or idle for too long."
    );
    describe_counter!(
        "portent_http_heads_refused_total",
        "Requests whose head is too large or malformed, so that no handler saw them."
    );
    describe_counter!(
        "portent_http_accept_errors_total",
        "Connections that the system did not hand over."
    );
}

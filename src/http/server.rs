//! The server: accepts connections, serves each in a task, drains them at the end.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Either;
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use metrics::{counter, describe_counter, describe_gauge, gauge};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::activity::Activity;
use super::answer::{Outgoing, head_and_text};
use super::door::{Busy, Door, Seat};
use super::stream::Stream;
use super::{MAX_HEAD_BYTES, MAX_HEADERS, Peer, RequestBody, WebConfig};
use crate::retry::Attempt;

/// A pause after the system has refused a connection (out of file descriptors, most likely), so
/// that the loop does not spin until some are free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long the rest of a refused body is read and thrown away. Closing with bytes unread resets
/// the connection, and the sender might lose the answer that tells it not to come again.
const LINGER: Duration = Duration::from_secs(1);

/// What of an answer the system takes before it is on its way. With less than by default it is seen that a slow
/// reader takes any of it, each 64 KiB instead of each megabyte.
const UNSENT_BYTES: u32 = 128 << 10;

/// Which requests are about the program itself, so that they are answered on the reserve.
pub type Vital = Arc<dyn Fn(&Method, &Uri) -> bool + Send + Sync>;

/// Serves connections until `stop` is done and those that are open then are drained.
///
/// Returns how many had to be cut off.
pub async fn serve<H, F, B>(
    listener: TcpListener,
    config: &WebConfig,
    handler: H,
    vital: Vital,
    stop: impl Future<Output = ()>,
) -> usize
where
    H: Fn(Request<RequestBody>) -> F + Clone + Send + Unpin + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut door = Door::new(config);
    let (draining, drain) = watch::channel(false);
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        // Ended tasks are collected here, so that the set does not grow.
        while connections.try_join_next().is_some() {}
        let accepted = async {
            door.room().await;
            listener.accept().await
        };
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                counter!("portent_http_connections_accepted_total").increment(1);
                let (open, lingering) = (Open::new(), door.lingering());
                match door.admit(address.ip()) {
                    Ok(seat) => {
                        let guest = Guest { seat, vital: Arc::clone(&vital), lingering };
                        let connection = connection(
                            stream,
                            config.clone(),
                            handler.clone(),
                            guest,
                            drain.clone(),
                        );
                        connections.spawn(async move {
                            connection.await;
                            drop(open);
                        });
                    }
                    Err(busy) => {
                        connections.spawn(async move {
                            turn_away(stream, busy, &lingering).await;
                            drop(open);
                        });
                    }
                }
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

/// What a connection comes in with.
struct Guest {
    seat: Seat,
    vital: Vital,
    /// Who of those that were sent away may linger.
    lingering: Arc<Semaphore>,
}

/// Serves one connection until either side ends it.
async fn connection<H, F, B>(
    stream: TcpStream,
    config: WebConfig,
    handler: H,
    guest: Guest,
    mut drain: watch::Receiver<bool>,
) where
    H: Fn(Request<RequestBody>) -> F + Send + Unpin,
    F: Future<Output = Response<B>> + Send,
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    tune(&stream);
    let activity = Activity::new();
    let seen = Arc::clone(&activity);
    let Guest { seat, vital, lingering } = guest;
    let (busy, peer) = (seat.busy(), Peer::new(&stream, Arc::clone(&seen), seat.bytes()));
    let least = config.min_body_bytes_per_second;
    let service = service_fn(move |request: Request<Incoming>| {
        seen.begin(request.body().size_hint().exact());
        let unheard = busy.filter(|_| !vital(request.method(), request.uri()));
        let refusal = unheard.map(|busy| busy.response(Attempt::of(request.headers())));
        let mut request = request.map(|body| RequestBody::new(body, least, Arc::clone(&seen)));
        request.extensions_mut().insert(peer.clone());
        let answer = refusal.map_or_else(|| Either::Left(handler(request)), Either::Right);
        let activity = Arc::clone(&seen);
        // hyper wants to move the future about while it closes gracefully.
        Box::pin(async move {
            let mut response = match answer {
                Either::Left(answer) => answer.await.map(Either::Left),
                Either::Right(refusal) => refusal.map(Either::Right),
            };
            if busy.is_some() || activity.is_body_slow() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            activity.end();
            Ok::<_, Infallible>(response.map(|body| Outgoing::new(body, activity)))
        })
    });
    let stream = TokioIo::new(Stream::new(stream, Arc::clone(&activity)));
    let mut connection = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(stream, service);
    let overdue = overdue(&activity, &config, busy.is_some());
    tokio::pin!(overdue);
    let mut draining = false;
    let served = loop {
        tokio::select! {
            served = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => break served,
            reason = &mut overdue => {
                counter!("portent_http_connections_timed_out_total", "reason" => reason).increment(1);
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
    let (stream, is_refused) = connection.into_parts().io.into_inner().into_parts();
    let stream = answered(served, is_refused, stream).await;
    // At the end of the program there is no time for senders of refused bodies.
    if let Some(stream) = stream.filter(|_| !draining) {
        leave(stream, seat, &lingering).await;
    }
}

/// The stream when hyper has done with it, with an answer to a head that hyper did not understand.
async fn answered(
    served: Result<(), hyper::Error>,
    is_refused: bool,
    mut stream: TcpStream,
) -> Option<TcpStream> {
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
        if !is_refused {
            return None;
        }
        let answer = refusal(&error);
        let _ = tokio::time::timeout(LINGER, stream.write_all(answer.as_bytes())).await;
    }
    Some(stream)
}

/// Makes the system send at once, and take less of an answer than it would by itself, where it can.
fn tune(stream: &TcpStream) {
    // Answers are small and awaited; a delay to fill packets only costs time.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES);
    #[cfg(not(target_os = "linux"))]
    let _ = (stream, UNSENT_BYTES);
}

/// Returns when a connection takes too long, and with what.
async fn overdue(activity: &Activity, config: &WebConfig, is_reserved: bool) -> &'static str {
    let all = async {
        match is_reserved {
            true => tokio::time::sleep(config.reserved_timeout.to_std()).await,
            false => std::future::pending().await,
        }
    };
    tokio::select! {
        reason = activity.overdue(config.limits(is_reserved)) => reason,
        () = all => "reserve",
    }
}

/// Answers a connection that is not even listened to.
async fn turn_away(mut stream: TcpStream, busy: Busy, lingering: &Semaphore) {
    busy.count();
    let answer = busy.head_and_text();
    // The system's buffer is empty: this does not wait.
    let written = tokio::time::timeout(LINGER, stream.write_all(answer.as_bytes())).await;
    if matches!(written, Ok(Ok(()))) {
        linger_if_few(stream, lingering).await;
    }
}

/// Lingers with its seat; on the reserve that is for the next one at once.
async fn leave(stream: TcpStream, seat: Seat, lingering: &Semaphore) {
    if seat.busy().is_none() {
        return linger(stream).await;
    }
    drop(seat);
    linger_if_few(stream, lingering).await;
}

/// Lingers unless too many do.
async fn linger_if_few(stream: TcpStream, lingering: &Semaphore) {
    if let Ok(_lingering) = lingering.try_acquire() {
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
    head_and_text(status, "", &text)
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
        "How often web.max_connections and web.reserved_connections were reached, so that new connections had \
         to wait."
    );
    describe_counter!(
        "portent_http_connections_refused_total",
        "Connections that were answered with 503 without reading a request, by reason: full \
         (web.max_connections), peer \
         (web.max_connections_per_peer)."
    );
    describe_counter!(
        "portent_http_connections_timed_out_total",
        "Connections that were closed because of the peer, by reason: head (too slow), body (stalled), answer \
         (not taken), idle, reserve (took longer than web.reserved_timeout)."
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

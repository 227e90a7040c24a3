//! What a handler gets beside the head of a request: its body, and whether the peer is still there.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::net::TcpStream;

use metrics::counter;

use super::activity::Activity;
use super::pace::Paced;
use crate::bytesize::ByteSize;

/// How long after a peer has closed its side it is still worked for. One that waits for its answer looks the
/// same as one that has gone: most answers take less, and whoever has gone holds a place no longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The body of a request, as hyper reads it.
///
/// # Errors
/// Of the kind `TimedOut` when it comes too slowly: the connection ends with the answer then. All others are
/// hyper's.
#[derive(Debug)]
pub struct RequestBody {
    body: Paced<Incoming>,
    activity: Arc<Activity>,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, least: ByteSize, activity: Arc<Activity>) -> Self {
        Self { body: Paced::new(body, least), activity }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.activity.body_done(),
            Some(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                counter!("portent_http_connections_timed_out_total", "reason" => "body")
                    .increment(1);
                self.activity.body_slow();
            }
            Some(_) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.activity.body_done();
    }
}

/// The peer that sent a request: an extension of each request.
#[derive(Debug, Clone)]
pub struct Peer {
    address: Option<IpAddr>,
    activity: Arc<Activity>,
    bytes: Arc<AtomicUsize>,
}

impl Peer {
    pub(super) fn new(
        stream: &TcpStream,
        activity: Arc<Activity>,
        bytes: Arc<AtomicUsize>,
    ) -> Self {
        let address = stream.peer_addr().ok().map(|it| it.ip().to_canonical());
        Self { address, activity, bytes }
    }

    /// The address that the connection comes from, which may be that of a proxy; none where the peer had gone
    /// before it was asked for.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Returns some time after the peer has closed its side of the connection. A handler that works for long
    /// may take it as gone.
    pub async fn left(&self) {
        self.activity.until_closed().await;
        tokio::time::sleep(PATIENCE).await;
    }

    /// Where the memory that requests of the same peer hold is counted, over all its connections. It is the
    /// same for as long as anybody holds it.
    #[must_use]
    pub fn bytes_in_flight(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.bytes)
    }
}

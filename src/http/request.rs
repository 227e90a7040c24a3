//! What a handler gets beside the head of a request: its body, and whether the peer is still there.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::activity::Activity;

/// How long after a peer has closed its side it is still worked for. One that waits for its answer looks the
/// same as one that has gone: most answers take less, and whoever has gone holds a place no longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The body of a request, as hyper reads it.
#[derive(Debug)]
pub struct RequestBody {
    body: Incoming,
    activity: Arc<Activity>,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, activity: Arc<Activity>) -> Self {
        Self { body, activity }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() {
            self.activity.body_done();
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
pub struct Peer(pub(super) Arc<Activity>);

impl Peer {
    /// Returns some time after the peer has closed its side of the connection. A handler that works for long
    /// may take it as gone.
    pub async fn left(&self) {
        self.0.until_closed().await;
        tokio::time::sleep(PATIENCE).await;
    }
}

//! The body of an answer: how one is made of parts, and how its end is noticed; and a whole answer without hyper.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::{Body, Frame, SizeHint};

use super::activity::Activity;
use crate::response::PLAIN;

/// The bytes of the last answer on a connection; its `headers` have their line ends.
pub(super) fn head_and_text(status: StatusCode, headers: &str, text: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {PLAIN}\r\n{headers}Connection: close\r\n\
         Content-Length: {}\r\n\r\n{text}\n",
        text.len() + 1
    )
}

/// A body of several parts, which others may share.
#[derive(Debug, Default)]
pub struct Parts(VecDeque<Bytes>);

impl Parts {
    /// Of these, in this order.
    #[must_use]
    pub fn new(parts: impl IntoIterator<Item = Bytes>) -> Self {
        // An empty piece would end a body of which the length is not told.
        Self(parts.into_iter().filter(|part| !part.is_empty()).collect())
    }
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|part| part.len() as u64).sum())
    }
}

/// The body of an answer on its way; when it is dropped, all of it is in hyper's hands.
#[derive(Debug)]
pub(super) struct Outgoing<B> {
    body: B,
    activity: Arc<Activity>,
}

impl<B> Outgoing<B> {
    pub(super) fn new(body: B, activity: Arc<Activity>) -> Self {
        Self { body, activity }
    }
}

impl<B: Body + Unpin> Body for Outgoing<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Outgoing<B> {
    fn drop(&mut self) {
        self.activity.handed_over();
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn parts_are_one_after_the_other() {
        let parts = Parts::new(["a", "", "bc"].map(Bytes::from));
        assert_eq!(parts.size_hint().exact(), Some(3));
        assert!(!parts.is_end_stream());
        let all = parts.collect().await.expect("no error").to_bytes();
        assert_eq!(all, "abc");
        assert!(Parts::default().is_end_stream());
    }

    #[test]
    fn an_answer_is_over_when_its_body_is() {
        let activity = Activity::new();
        activity.begin(Some(0));
        let body = Outgoing::new(Parts::default(), Arc::clone(&activity));
        activity.end();
        assert!(!activity.settle(), "a part is written, and others are not");
        drop(body);
        assert!(activity.settle());
    }
}

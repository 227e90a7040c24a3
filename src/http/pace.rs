//! Pace: the least of a body that must arrive in a while, so that one which stalls is noticed long before the
//! time for all of it is over.
//!
//! In: a body. Out: the same, which fails when less than the least comes while it is waited for. Invariant:
//! only time in which somebody waits for the body counts.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::bytesize::ByteSize;

/// Bytes are counted over so long. A packet that is lost four times in a row is sent again after 0.2, 0.4,
/// 0.8 and 1.6 s: a line on which that happens is slow, not stalled.
const WINDOW: Duration = Duration::from_secs(5);

/// A body that must come at a least pace.
#[derive(Debug)]
pub(super) struct Paced<B> {
    body: B,
    /// Of each second.
    least: ByteSize,
    /// Bytes of the window that is counted, and its end, once the body was waited for.
    arrived: u64,
    end: Option<Pin<Box<Sleep>>>,
}

impl<B> Paced<B> {
    /// A body of which so much must come a second; nothing for no such limit.
    pub(super) fn new(body: B, least: ByteSize) -> Self {
        Self { body, least, arrived: 0, end: None }
    }

    /// Nothing is there now: too little has come, or it is waited for.
    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let least = self.least.as_bytes().saturating_mul(WINDOW.as_secs());
        if least == 0 {
            return Poll::Pending;
        }
        let end = self.end.get_or_insert_with(|| Box::pin(tokio::time::sleep(WINDOW)));
        while end.as_mut().poll(cx).is_ready() {
            if self.arrived < least {
                return Poll::Ready(self.slow());
            }
            self.arrived = 0;
            end.as_mut().reset(Instant::now() + WINDOW);
        }
        Poll::Pending
    }

    fn slow(&self) -> io::Error {
        let text = format!(
            "{} bytes of the body came in {} s, less than {} a second (web.min_body_bytes_per_second)",
            self.arrived,
            WINDOW.as_secs(),
            self.least
        );
        io::Error::new(io::ErrorKind::TimedOut, text)
    }
}

impl<B> Body for Paced<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending => self.poll_slow(cx).map(|slow| Some(Err(slow))),
            Poll::Ready(frame) => {
                if let Some(Ok(frame)) = &frame {
                    self.arrived += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
                Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use http_body_util::BodyExt;

    use super::*;

    /// Pieces of a body, each so long after the one before it.
    struct Pieces {
        pieces: VecDeque<(Duration, usize)>,
        wait: Option<Pin<Box<Sleep>>>,
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let Some((after, bytes)) = self.pieces.front().copied() else {
                return Poll::Ready(None);
            };
            let wait = self.wait.get_or_insert_with(|| Box::pin(tokio::time::sleep(after)));
            if wait.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.wait = None;
            self.pieces.pop_front();
            Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![0; bytes])))))
        }
    }

    /// How much is read of these pieces at 100 bytes a second, or after how many seconds it is given up.
    async fn read(pieces: impl IntoIterator<Item = (u64, usize)>) -> Result<usize, u64> {
        read_at(100, pieces).await
    }

    async fn read_at(
        least: u64,
        pieces: impl IntoIterator<Item = (u64, usize)>,
    ) -> Result<usize, u64> {
        let start = Instant::now();
        let pieces = pieces.into_iter().map(|(ms, bytes)| (Duration::from_millis(ms), bytes));
        let body = Pieces { pieces: pieces.collect(), wait: None };
        match Paced::new(body, ByteSize::from_bytes(least)).collect().await {
            Ok(all) => Ok(all.to_bytes().len()),
            Err(slow) => {
                assert_eq!(slow.kind(), io::ErrorKind::TimedOut, "{slow}");
                assert!(slow.to_string().contains("web.min_body_bytes_per_second"), "{slow}");
                Err(start.elapsed().as_secs())
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_slow_and_not_stall() {
        assert_eq!(read([(0, 1_000)]).await, Ok(1_000));
        assert_eq!(read([]).await, Ok(0));
        // The least, for minutes; in lumps as well.
        assert_eq!(read((0..300).map(|_| (1_000, 101))).await, Ok(30_300));
        assert_eq!(read((0..60).map(|_| (4_900, 600))).await, Ok(36_000));
        assert_eq!(read([(4_900, 1)]).await, Ok(1));
        assert_eq!(read_at(0, [(3_600_000, 1)]).await, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_is_given_up() {
        assert_eq!(read([(3_600_000, 1)]).await, Err(5));
        assert_eq!(read((0..300).map(|_| (1_000, 1))).await, Err(5));
        // Whatever came at first.
        assert_eq!(read([(1_000, 1 << 20), (3_600_000, 1)]).await, Err(10));
    }
}

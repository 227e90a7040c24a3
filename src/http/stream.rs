//! The stream of a connection: bytes between the peer and hyper, with three things that hyper leaves out.
//!
//! 1. A peer that has said all it has to say may close its side and wait for the answer (RFC 9112 section
//!    9.6). Its end is kept from hyper, which would drop the request, until the answer is out; what works on
//!    the answer can ask the [`Activity`] whether the peer is still there.
//! 2. Bytes of a request's address that browsers escape and people who type do not, such as `"`, are
//!    escaped here, because hyper refuses them and Prometheus does not.
//! 3. What hyper answers by itself to a head that it does not understand has no body: it is held back, and
//!    the server answers in its place.
//!
//! For the second, heads must be told from bodies, and only hyper says where a body ends. So no byte behind
//! a head is handed on before hyper has understood that head and told how long its body is. Of a body whose
//! length is not told in advance the end is not seen: behind it everything is handed on as it comes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::MAX_HEAD_BYTES;
use super::activity::Activity;

/// What is read at once while a head is awaited: most fit.
const READ_BYTES: usize = 8 << 10;

/// Where in a request the next byte for hyper is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestPart {
    /// In the request line, which is handed on when it is whole.
    Line,
    /// In the headers; how much of the empty line that ends them has been seen.
    Headers(Ending),
    /// Behind a head that hyper has still to understand.
    Behind,
    /// In a body of which so much is to come.
    Body(u64),
    /// Somewhere: nothing is changed from here on.
    Anywhere,
}

/// How much of a head's end has been seen: it ends with an empty line, whose carriage return may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Nothing,
    Newline,
    NewlineAndReturn,
}

/// The stream of one connection.
#[derive(Debug)]
pub(super) struct Stream<S> {
    stream: S,
    activity: Arc<Activity>,
    part: RequestPart,
    /// Read and not handed on.
    held: BytesMut,
    /// The peer has closed its side.
    ended: bool,
    /// Who waits for what was kept back until the answer is out.
    parked: Option<Waker>,
    /// hyper has refused a head by itself, and nothing of that was written.
    refused: bool,
}

impl<S> Stream<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        let (held, part) = (BytesMut::new(), RequestPart::Line);
        Self { stream, activity, part, held, ended: false, parked: None, refused: false }
    }

    /// The stream itself, when hyper has done with it, and whether hyper has refused a head, so that the
    /// answer is still to be written.
    pub(super) fn into_parts(self) -> (S, bool) {
        (self.stream, self.refused)
    }

    /// Whether what hyper writes is its own: all that was asked for has been answered.
    fn is_unasked(&self) -> bool {
        !self.activity.is_owed() && self.part != RequestPart::Anywhere
    }

    /// Hands held bytes on, as many as there is room for and no more than allowed.
    fn hand_on(&mut self, buffer: &mut ReadBuf<'_>, most: usize) -> usize {
        let count = self.held.len().min(buffer.remaining()).min(most);
        buffer.put_slice(&self.held[..count]);
        self.held.advance(count);
        count
    }
}

impl<S: AsyncRead + Unpin> Stream<S> {
    /// Reads more into what is held; false at the end.
    fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.ended {
            return Poll::Ready(Ok(false));
        }
        let mut bytes = [0; READ_BYTES];
        let mut read = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        self.held.extend_from_slice(read.filled());
        self.note(read.filled().len());
        Poll::Ready(Ok(!self.ended))
    }

    /// Notes how many bytes have come.
    fn note(&mut self, count: usize) {
        if count == 0 {
            self.ended = true;
            self.activity.closed();
        } else {
            self.activity.received();
        }
    }

    /// An answer is owed and hyper looks whether the peer is still there: it learns of an error, not of the
    /// end. What the peer sends meanwhile waits.
    fn poll_meanwhile(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.parked = Some(cx.waker().clone());
        while self.held.is_empty() && !self.ended {
            ready!(self.poll_hold(cx))?;
        }
        Poll::Pending
    }

    /// Hands bytes on as they come.
    fn poll_through(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        most: u64,
    ) -> Poll<io::Result<usize>> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if !self.held.is_empty() {
            return Poll::Ready(Ok(self.hand_on(buffer, most)));
        }
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        // Read where it is wanted: bodies are not copied twice.
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(buffer.remaining().min(most)));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        let count = part.filled().len();
        buffer.advance(count);
        self.note(count);
        Poll::Ready(Ok(count))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match this.part {
                RequestPart::Line if this.activity.is_owed() => return this.poll_meanwhile(cx),
                RequestPart::Line => {
                    if hold_line(&mut this.held) || this.held.len() >= MAX_HEAD_BYTES {
                        this.part = RequestPart::Headers(Ending::Nothing);
                    } else if !ready!(this.poll_hold(cx))? {
                        if this.held.is_empty() {
                            return Poll::Ready(Ok(()));
                        }
                        this.part = RequestPart::Anywhere;
                    }
                }
                RequestPart::Headers(ending) => {
                    if this.held.is_empty() && !ready!(this.poll_hold(cx))? {
                        return Poll::Ready(Ok(()));
                    }
                    let room = this.held.len().min(buffer.remaining());
                    let (length, ending) = head_in(&this.held[..room], ending);
                    this.hand_on(buffer, length);
                    this.part = ending.map_or(RequestPart::Behind, RequestPart::Headers);
                    return Poll::Ready(Ok(()));
                }
                RequestPart::Behind => {
                    this.part = match this.activity.take_begun() {
                        Some(Some(length)) => RequestPart::Body(length),
                        // A body of unknown length; or hyper sees a head where there is none.
                        Some(None) | None => RequestPart::Anywhere,
                    };
                }
                RequestPart::Body(0) => this.part = RequestPart::Line,
                RequestPart::Body(length) => {
                    let count = ready!(this.poll_through(cx, buffer, length))?;
                    this.part = RequestPart::Body(length - count as u64);
                    return Poll::Ready(Ok(()));
                }
                RequestPart::Anywhere => {
                    let count = ready!(this.poll_through(cx, buffer, u64::MAX))?;
                    if count == 0 && this.activity.is_owed() && this.activity.is_body_done() {
                        return this.poll_meanwhile(cx);
                    }
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

/// Whether the bytes begin with a whole request line; its address is then escaped.
fn hold_line(held: &mut BytesMut) -> bool {
    // Empty lines before it are allowed (RFC 9112 section 2.2).
    let Some(start) = held.iter().position(|byte| !matches!(byte, b'\r' | b'\n')) else {
        return false;
    };
    let Some(length) = held[start..].iter().position(|byte| *byte == b'\n') else {
        return false;
    };
    let end = start + length;
    let Some(space) = held[start..end].iter().position(|byte| *byte == b' ') else {
        return true;
    };
    let from = start + space + 1;
    let to = held[from..end].iter().position(|byte| *byte == b' ').map_or(end, |at| from + at);
    if held[from..to].iter().any(|byte| is_escaped(*byte)) {
        let mut line = BytesMut::from(&held[..from]);
        for byte in &held[from..to] {
            if is_escaped(*byte) {
                line.extend_from_slice(format!("%{byte:02X}").as_bytes());
            } else {
                line.extend_from_slice(&[*byte]);
            }
        }
        line.extend_from_slice(&held[to..]);
        *held = line;
    }
    true
}

/// Whether a byte may not stand in an address (RFC 3986) and is taken there by Go's `net/url`, which is what
/// Prometheus reads addresses with. `#` is no fragment there: a server is never sent one.
fn is_escaped(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#')
        || byte >= 0x80
}

/// How many of the bytes belong to the head, and how much of its end has been seen if it goes on. As hyper
/// sees it: at the first empty line, whether lines end with a newline alone or not.
fn head_in(bytes: &[u8], mut ending: Ending) -> (usize, Option<Ending>) {
    for (i, byte) in bytes.iter().enumerate() {
        ending = match (byte, ending) {
            (b'\n', Ending::Newline | Ending::NewlineAndReturn) => return (i + 1, None),
            (b'\n', Ending::Nothing) => Ending::Newline,
            (b'\r', Ending::Newline) => Ending::NewlineAndReturn,
            _ => Ending::Nothing,
        };
    }
    (bytes.len(), Some(ending))
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_unasked() {
            self.refused = true;
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.activity.wrote(written.is_ready());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_unasked() {
            self.refused = true;
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.activity.wrote(written.is_ready());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        // hyper flushes an answer when all that it has of it is written.
        if self.activity.is_owed() && self.activity.settle() {
            self.parked.take().into_iter().for_each(Waker::wake);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;

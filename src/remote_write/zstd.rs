//! Zstandard: what vmagent compresses its requests with.
//!
//! In: a body that begins with a frame's magic number. Out: what its frames decompress to, one after the other.
//! Window and content size are only claims: nothing is allocated by them, but a body that claims too much is
//! refused at once. Memory is made block by block, and reserved before; what a block of a hostile body makes
//! beyond the 128 KiB that one may have ends the body, so that each decoder holds at most another window more.
//! Sources: RFC 8878 (the format), RFC 9659 (the largest window of a content encoding).

use std::io::Read;

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::Refusal;
use super::clip::clip;
use super::in_flight::{InFlightLimits, Permit};
use crate::bytesize::ByteSize;

/// The first bytes of a frame. No snappy block begins with them: the second would be a copy of what is not there.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What a decoder must understand and an encoder must not exceed, RFC 9659 section 3.
const LARGEST_WINDOW: usize = 8 << 20;

/// What a block may decompress to, RFC 8878 section 3.1.1.2.3.
const LARGEST_BLOCK: usize = 128 << 10;

/// Whether a body is zstd, whatever its headers say: a vmagent that was restarted sends what it compressed
/// before under the name of what it would use now.
#[must_use]
pub fn is_frame(body: &[u8]) -> bool {
    body.starts_with(&MAGIC)
}

/// Decompresses a body, to so many bytes at most. The permit grows by memory before it is used.
///
/// # Errors
/// When the body is not zstd from its first to its last byte, when it decompresses to more, or when the memory
/// is refused.
pub fn decompress(
    mut body: &[u8],
    limit: ByteSize,
    permit: &mut Permit,
    limits: InFlightLimits,
) -> Result<Vec<u8>, Refusal> {
    let mut message = Message { bytes: Vec::new(), limit, work_bytes: 0, permit, limits };
    while !body.is_empty() {
        // A new decoder for each frame: one that is used again makes room for the window that is claimed.
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(LARGEST_WINDOW as u64);
        match decoder.init(&mut body) {
            Ok(()) => message.take_frame(&mut decoder, &mut body)?,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                let rest = body.get(length as usize..);
                body = rest.ok_or_else(|| wrong("a frame that is to be skipped is cut off"))?;
            }
            Err(FrameDecoderError::WindowSizeTooBig { requested, .. }) => {
                let most = ByteSize::from_bytes(LARGEST_WINDOW as u64);
                let reason = format!("a window of {requested} bytes, more than {most} (RFC 9659)");
                return Err(Refusal::Zstd(reason));
            }
            Err(error) => return Err(wrong(&error.to_string())),
        }
    }
    Ok(message.bytes)
}

fn wrong(reason: &str) -> Refusal {
    Refusal::Zstd(clip(reason))
}

/// What the frames so far decompress to.
struct Message<'a> {
    bytes: Vec<u8>,
    limit: ByteSize,
    /// What was reserved for the decoder.
    work_bytes: usize,
    permit: &'a mut Permit,
    limits: InFlightLimits,
}

impl Message<'_> {
    /// Takes in a frame whose header has been read.
    fn take_frame(&mut self, decoder: &mut FrameDecoder, body: &mut &[u8]) -> Result<(), Refusal> {
        let (before, claimed) = (self.bytes.len(), decoder.content_size());
        if claimed > self.limit.as_bytes().saturating_sub(before as u64) {
            return Err(Refusal::DecodedBeyond(self.limit));
        }
        let mut blocks = 0;
        loop {
            blocks += 1;
            let most = LARGEST_BLOCK.saturating_mul(blocks);
            // The window and a block, in room that doubles as it grows.
            self.reserve_work(2 * (most.min(LARGEST_WINDOW) + LARGEST_BLOCK))?;
            let is_last = decoder
                .decode_blocks(&mut *body, BlockDecodingStrategy::UptoBlocks(1))
                .map_err(|error| wrong(&error.to_string()))?;
            self.drain(decoder)?;
            let length = self.bytes.len() - before;
            if length > most {
                return Err(wrong("a block is larger than 128 KiB"));
            }
            if is_last {
                // A size of zero may be one that is not told.
                if claimed != 0 && claimed != length as u64 {
                    return Err(wrong("a frame has another length than it says"));
                }
                let told = decoder.get_checksum_from_data();
                if told.is_some() && told != decoder.get_calculated_checksum() {
                    return Err(wrong("a frame has another checksum than it says"));
                }
                return Ok(());
            }
        }
    }

    /// Takes what the decoder does not need any more.
    fn drain(&mut self, decoder: &mut FrameDecoder) -> Result<(), Refusal> {
        let (length, more) = (self.bytes.len(), decoder.can_collect());
        if more as u64 > self.limit.as_bytes().saturating_sub(length as u64) {
            return Err(Refusal::DecodedBeyond(self.limit));
        }
        if self.bytes.capacity() - length < more {
            // By half, and no further than it may grow.
            let room = more.max((length / 2).min(self.limit.as_len() - length));
            self.permit.grow(length + room - self.bytes.capacity(), self.limits)?;
            self.bytes.reserve_exact(room);
        }
        self.bytes.resize(length + more, 0);
        decoder.read_exact(&mut self.bytes[length..]).map_err(|error| wrong(&error.to_string()))
    }

    /// Reserves what the decoder has come to need. The next one uses it again.
    fn reserve_work(&mut self, bytes: usize) -> Result<(), Refusal> {
        let more = bytes.saturating_sub(self.work_bytes);
        if more > 0 {
            self.permit.grow_for_work(more, self.limits)?;
            self.work_bytes += more;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

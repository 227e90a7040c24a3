//! Deflated text: parts that are compressed separately, each once, and together are one gzip member.
//!
//! All readers of a page share the scores, which are most of it. Their blocks end at a whole byte and refer
//! to nothing before them, so that other blocks may follow.
//! Source: RFC 1951, RFC 1952.

use std::io::{self, Write as _};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// No name, no time, an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A part of a member.
#[derive(Debug)]
pub(super) struct Deflated {
    /// Whole blocks.
    pub(super) bytes: Vec<u8>,
    /// Of the text.
    pub(super) crc: Crc,
}

impl Deflated {
    /// Compresses a part that others follow.
    pub(super) fn part(text: &[u8]) -> io::Result<Self> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text)?;
        encoder.flush()?;
        let bytes = std::mem::take(encoder.get_mut());
        Ok(Self { bytes, crc: crc(text) })
    }

    /// Compresses the last part.
    pub(super) fn last(text: &[u8]) -> io::Result<Self> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text)?;
        Ok(Self { bytes: encoder.finish()?, crc: crc(text) })
    }
}

fn crc(text: &[u8]) -> Crc {
    let mut crc = Crc::new();
    crc.update(text);
    crc
}

/// What stands before the first part and after the last one, of parts with these sums.
pub(super) fn frame<'a>(crcs: impl IntoIterator<Item = &'a Crc>) -> ([u8; 10], [u8; 8]) {
    let mut all = Crc::new();
    crcs.into_iter().for_each(|crc| all.combine(crc));
    let mut end = [0; 8];
    end[..4].copy_from_slice(&all.sum().to_le_bytes());
    end[4..].copy_from_slice(&all.amount().to_le_bytes());
    (HEADER, end)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[track_caller]
    fn check(texts: &[&[u8]]) {
        let (last, before) = texts.split_last().expect("some");
        let mut parts: Vec<Deflated> =
            before.iter().map(|it| Deflated::part(it).expect("memory")).collect();
        parts.push(Deflated::last(last).expect("memory"));
        let (header, end) = frame(parts.iter().map(|it| &it.crc));
        let blocks: Vec<u8> = parts.into_iter().flat_map(|it| it.bytes).collect();
        let whole = [&header[..], &blocks, &end].concat();
        // One member and nothing after it.
        let mut decoder = flate2::bufread::GzDecoder::new(&whole[..]);
        let mut text = Vec::new();
        decoder.read_to_end(&mut text).expect("gzip");
        assert_eq!(text, texts.concat());
        assert!(decoder.into_inner().is_empty());
    }

    #[test]
    fn parts_are_one_member() {
        let long = b"anomaly_score{instance=\"a\"} 0.5\n".repeat(10_000);
        check(&[&long, b"b 1\n"]);
        check(&[b"", b""]);
        check(&[&long, b"", &long]);
    }
}

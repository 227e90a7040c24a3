use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;
use crate::remote_write::in_flight::InFlight;

const LIMIT: ByteSize = ByteSize::from_bytes(1 << 20);

/// The widest window and a block, in room that doubles.
const MOST_WORK_BYTES: usize = 2 * (LARGEST_WINDOW + LARGEST_BLOCK);

/// What it decompresses to, and how much memory was reserved for that.
fn unpack(body: &[u8], limit: ByteSize) -> (Result<Vec<u8>, Refusal>, usize) {
    let in_flight = InFlight::default();
    let mut permit = in_flight.begin(None);
    let limits = InFlightLimits { all: usize::MAX, peer: usize::MAX };
    (decompress(body, limit, &mut permit, limits), in_flight.bytes())
}

fn frame(content: &[u8]) -> Vec<u8> {
    compress_to_vec(content, CompressionLevel::Fastest)
}

/// A frame by hand: what follows the magic number and the header's first byte, which says what is there.
fn raw_frame(descriptor: u8, rest: &[u8]) -> Vec<u8> {
    [&MAGIC[..], &[descriptor], rest].concat()
}

/// The header of a block: its size, its type (0 as it is, 1 a byte repeated) and whether it is the last.
fn block(size: u32, kind: u32, is_last: bool) -> [u8; 3] {
    let [a, b, c, _] = (size << 3 | kind << 1 | u32::from(is_last)).to_le_bytes();
    [a, b, c]
}

#[track_caller]
fn check_refused(body: &[u8], expected: &str) {
    let (message, _) = unpack(body, LIMIT);
    let error = message.expect_err("not zstd").to_string();
    assert!(error.contains(expected), "{error}");
}

/// Something like a request: it has repetitions, near ones and far ones.
fn content(bytes: usize) -> Vec<u8> {
    let word = |i: usize| format!("__name__ node_cpu_seconds_total{} ", i * i % 977);
    (0..).flat_map(|i| word(i).into_bytes()).take(bytes).collect()
}

#[test]
fn frames_are_decompressed_one_after_the_other() {
    assert!(is_frame(&frame(b"")) && !is_frame(b"") && !is_frame(&MAGIC[..3]));
    for bytes in [0, 1, 1_000, 200_000, 1 << 20] {
        let content = content(bytes);
        let (message, reserved) = unpack(&frame(&content), LIMIT);
        assert_eq!(message.expect("a frame"), content);
        assert!(
            reserved >= bytes && reserved <= MOST_WORK_BYTES + 2 * bytes,
            "{bytes}: {reserved}"
        );
    }
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let several = [frame(b"one "), frame(b""), skipped, frame(b"two")].concat();
    assert_eq!(unpack(&several, LIMIT).0.expect("frames"), b"one two");
}

/// What libzstd makes of `portent portent portent ` at level 3, with a checksum and without a content size.
const REFERENCE: &[u8] = &[
    0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58, 0x75, 0x00, 0x00, 0x40, 0x70, 0x6f, 0x72, 0x74, 0x65, 0x6e,
    0x74, 0x20, 0x01, 0x00, 0x43, 0x0a, 0x17, 0x04, 0xa0, 0xcb, 0xdd,
];

#[test]
fn a_frame_of_the_reference_encoder_is_understood() {
    assert_eq!(unpack(REFERENCE, LIMIT).0.expect("a frame"), b"portent portent portent ");
    let mut wrong = REFERENCE.to_vec();
    *wrong.last_mut().expect("a checksum") ^= 1;
    check_refused(&wrong, "another checksum");
}

#[test]
fn what_is_no_frame_to_its_end_is_refused() {
    let whole = frame(&content(5_000));
    for end in MAGIC.len()..whole.len() {
        assert!(unpack(&whole[..end], LIMIT).0.is_err(), "{end} of {} bytes", whole.len());
    }
    check_refused(&[&whole[..], b"up 1"].concat(), "the body is not zstd: ");
    check_refused(&[&whole[..], b"x"].concat(), "the body is not zstd: ");
    check_refused(&[&frame(b"")[..], &[0x50, 0x2a, 0x4d, 0x18, 9, 0, 0, 0]].concat(), "cut off");
    // One segment of five bytes, which has three.
    let short = raw_frame(0x20, &[&[5][..], &block(3, 0, true), b"abc"].concat());
    check_refused(&short, "another length than it says");
}

#[test]
fn claims_cost_nothing() {
    // A window of 2 GiB, with a block that would be good.
    let wide = raw_frame(0, &[&[21 << 3][..], &block(1, 0, true), b"x"].concat());
    let (message, reserved) = unpack(&wide, LIMIT);
    let error = message.expect_err("it is too wide").to_string();
    assert!(error.contains("2147483648 bytes, more than 8MiB (RFC 9659)"), "{error}");
    assert_eq!(reserved, 0);
    // The widest that is allowed costs what comes, not what it says.
    let allowed = raw_frame(0, &[&[13 << 3][..], &block(1, 0, true), b"x"].concat());
    let (message, reserved) = unpack(&allowed, LIMIT);
    assert_eq!(message.expect("a frame"), b"x");
    assert!(reserved <= 4 * LARGEST_BLOCK + 1, "{reserved}");
    // A content of 2 EiB.
    let huge =
        raw_frame(0xe0, &[&(2_u64 << 60).to_le_bytes()[..], &block(1, 0, true), b"x"].concat());
    let (message, reserved) = unpack(&huge, ByteSize::from_bytes(u64::MAX));
    assert!(matches!(message, Err(Refusal::Zstd(_))), "{message:?}");
    assert_eq!(reserved, 0);
    let large =
        raw_frame(0xa0, &[&(2_u32 << 20).to_le_bytes()[..], &block(1, 0, true), b"x"].concat());
    assert!(matches!(unpack(&large, LIMIT), (Err(Refusal::DecodedBeyond(_)), 0)));
}

/// Blocks of four bytes that each become 128 KiB, with a small window and with the widest.
#[test]
fn a_bomb_is_stopped_at_the_limit() {
    let bomb = |window: u8, blocks: usize| {
        let repeated = [&block(128 << 10, 1, false)[..], b"0"].concat();
        let blocks = repeated.repeat(blocks);
        raw_frame(0, &[&[window][..], &blocks, &block(0, 0, true)].concat())
    };
    for window in [7 << 3, 13 << 3] {
        let (message, reserved) = unpack(&bomb(window, 8), LIMIT);
        assert_eq!(message.expect("as much as is allowed").len(), 1 << 20);
        assert!(reserved >= 1 << 20);
        let (message, reserved) = unpack(&bomb(window, 1_000_000), LIMIT);
        assert!(matches!(message, Err(Refusal::DecodedBeyond(limit)) if limit == LIMIT));
        assert!(reserved <= MOST_WORK_BYTES + (1 << 20), "{reserved}");
    }
    // Over several frames as well.
    let two = [bomb(7 << 3, 5), bomb(7 << 3, 5)].concat();
    assert!(matches!(unpack(&two, LIMIT).0, Err(Refusal::DecodedBeyond(_))));
}

#[test]
fn memory_that_is_refused_is_not_used() {
    let body = frame(&content(1 << 20));
    let in_flight = InFlight::default();
    // Another request is there.
    let _other = in_flight.reserve(100, 100).expect("there is room");
    for all in [1 << 10, 600 << 10, 1 << 20] {
        let mut permit = in_flight.begin(None);
        let message = decompress(&body, LIMIT, &mut permit, InFlightLimits { all, peer: all });
        assert!(matches!(message, Err(Refusal::OutOfMemoryBudget)), "{message:?}");
        assert!(in_flight.bytes() <= all);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_decompressed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let body = [&MAGIC[..], &bytes].concat();
        if let Ok(message) = unpack(&body, LIMIT).0 {
            prop_assert!(message.len() <= 1 << 20);
        }
    }

    #[test]
    fn a_damaged_frame_is_decompressed_or_refused(
        bytes in 0_usize..3_000,
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut body = frame(&content(bytes));
        for (place, byte) in damages {
            let place = place.index(body.len());
            body[place] = byte;
        }
        if let Ok(message) = unpack(&body, LIMIT).0 {
            prop_assert!(message.len() <= 1 << 20);
        }
    }

    #[test]
    fn what_was_compressed_comes_back(bytes in prop::collection::vec(0_u8..4, 0..3_000)) {
        prop_assert_eq!(unpack(&frame(&bytes), LIMIT).0.expect("a frame"), bytes);
    }
}

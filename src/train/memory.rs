//! Memory: how much training needs, and so how many entities fit.
//!
//! In: `train.max_memory`, and how large the recording of one entity is. Out: how many entities may be
//! collected, and how large one answer of a server may be.
//!
//! Memory peaks twice. While history is read there are the recording (4 bytes a value, 8 for each instant
//! at which the times of samples are asked for) and the answers that are being read. While the network
//! learns there are the cleaned values and its own copy of them (4 bytes each, and a bit that says whether
//! the entity measured it), and the windows. A recording becomes a dataset one entity at a time, so that
//! it does not count twice. In addition there is what does not grow with entities.
//!
//! The scores over the training range need less: the cleaned values, and up to 52 bytes a step for scores,
//! leading features and their order. With three features or more that is less than the network needs, and the
//! two clocks are always there.

use super::config::{FIXED, TrainConfig};
use super::error::{MemoryError, TrainError};
use crate::bytesize::ByteSize;
use crate::features::Recording;
use crate::history::{self, Extent, History, HistoryQuery, Sampling};

/// A value, as float32.
const VALUE: usize = 4;

/// An instant at which it is asked when samples were taken.
const INSTANT: usize = 8;

/// A step: whether it can be used, and its window in lists of the parts (8 bytes each, of which up to five
/// are there at once).
const STEP: usize = 41;

/// Clocks that are added to the features.
const CLOCKS: usize = 2;

/// The share of answers while history is read: one in so many parts.
const ANSWERS: usize = 4;

/// Bytes that a value takes of an answer's text, and once it has been read, beside the text: some 25 and 36.
const READ: usize = 2;

/// Reads what there is room for: of a server's entities a sample, where there are more.
///
/// # Errors
/// As [`history::read_sample`], and when a file holds more.
pub fn read(query: &HistoryQuery, config: &TrainConfig) -> Result<History, TrainError> {
    let most = config.max_memory;
    let sampling = Sampling {
        most: &|extent| entities(most, extent),
        max_answer_bytes: answer_bytes(most, query.config.max_concurrency),
        seed: config.seed,
    };
    let history = history::read_sample(query, &sampling)?;
    must_fit(&history.recording, most)?;
    Ok(history)
}

fn must_fit(recording: &Recording, most: ByteSize) -> Result<(), MemoryError> {
    let (entities, steps) = (recording.entities.len(), recording.times_ms.len());
    let features = recording.own.len();
    let bytes = bytes(entities, steps, features + CLOCKS);
    // A whole number of MiB is what people read.
    let shown = ByteSize::from_mib(bytes.as_bytes().div_ceil(1 << 20));
    match bytes <= most {
        true => Ok(()),
        false => Err(MemoryError { entities, steps, features, bytes: shown, most }),
    }
}

/// What is left for that which grows with entities.
fn room(most: ByteSize) -> usize {
    most.as_len().saturating_sub(FIXED.as_len())
}

/// Bytes of one answer, of which so many are under way at once and one is read.
fn answer_bytes(most: ByteSize, concurrency: usize) -> usize {
    room(most) / ANSWERS / concurrency.saturating_add(READ)
}

/// How many entities fit. See the head of this file.
fn entities(most: ByteSize, extent: Extent) -> usize {
    let Extent { steps, features, instants } = extent;
    let room = room(most);
    let reading = steps * features * VALUE + instants * INSTANT;
    let [reading, learning] = [reading, learning(steps, features + CLOCKS)].map(|it| it.max(1));
    ((room - room / ANSWERS) / reading).min(room / learning)
}

/// What an entity takes while the network learns.
fn learning(steps: usize, features: usize) -> usize {
    let values = steps.saturating_mul(features);
    values.saturating_mul(2 * VALUE).saturating_add(values / 8).saturating_add(steps * STEP)
}

/// What so many entities, all of whose features are there, take to train on.
fn bytes(entities: usize, steps: usize, features: usize) -> ByteSize {
    let data = entities.saturating_mul(learning(steps, features));
    ByteSize::from_bytes(FIXED.as_bytes().saturating_add(data as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(mib: u64, steps: usize, features: usize, instants: usize) -> usize {
        entities(ByteSize::from_mib(mib), Extent { steps, features, instants })
    }

    #[test]
    fn as_many_fit_as_there_is_room_for() {
        // 20,160 steps of 36 features: 8 bytes and a bit a value, 41 a step.
        let each = 20_160 * (36 * 8 + 41) + 20_160 * 36 / 8;
        assert_eq!(fit(2_048, 20_160, 34, 80_640), (1_920 << 20) / each);
        assert_eq!(fit(2_048, 20_160, 34, 80_640), 299);
        // Reading is more where it is asked at many instants: three quarters are for that.
        assert_eq!(fit(2_048, 100, 1, 10_000), (1_440 << 20) / (80_000 + 400));
    }

    #[test]
    fn more_memory_is_room_for_more() {
        let counts: Vec<usize> =
            [128, 129, 256, 512, 4_096].map(|it| fit(it, 10_080, 34, 0)).into();
        assert_eq!(counts[..2], [0, 0], "not even one");
        assert!(counts[1..].windows(2).all(|pair| pair[0] < pair[1]), "{counts:?}");
        assert!(bytes(counts[3], 10_080, 36) <= ByteSize::from_mib(512));
        assert!(bytes(counts[3] + 1, 10_080, 36) > ByteSize::from_mib(512));
        assert_eq!(fit(0, 10, 1, 0), 0);
        assert!(fit(u64::MAX >> 20, 1, 0, 0) > 1 << 30);
    }

    #[test]
    fn answers_have_a_quarter() {
        assert_eq!(answer_bytes(ByteSize::from_mib(2_048), 4), (480 << 20) / 6);
        assert_eq!(answer_bytes(ByteSize::from_mib(100), usize::MAX), 0);
    }
}

//! Unfit: why a message of a state file is nothing that was written.

use crate::labels::LabelsError;

/// Why a message is nothing that was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error(transparent)]
    Labels(#[from] LabelsError),
    #[error("a label has no name")]
    Nameless,
    #[error("the key of a model has {0} bytes")]
    Key(usize),
    #[error("a count of evaluations is {0}")]
    Count(u32),
    #[error("a series has {times} times and {values} values")]
    Samples { times: usize, values: usize },
    #[error("a native histogram is none: {0}")]
    Histogram(String),
}

//! Why there is no history, each with the next step to take.

use std::path::PathBuf;

/// Why there is no history.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// A table that cannot be read.
    #[error("cannot read {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        reason: String,
    },
    /// Something is wrong with a line of a table.
    #[error("{path}, line {line}: {reason}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// Not an address.
    #[error(
        "{url:?} is not the address of a server ({reason}); write it as in http://localhost:9090"
    )]
    Url {
        /// What was given, without credentials.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two kinds of credentials.
    #[error(
        "both the address and history.http_config hold credentials; leave those in the address out"
    )]
    TwoCredentials,
    /// A file that the configuration names.
    #[error("cannot use {path} ({key}): {reason}")]
    File {
        /// The key that names it.
        key: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never what is in it.
        reason: String,
    },
    /// Credentials or certificates that cannot be used.
    #[error("history.http_config cannot be used: {reason}")]
    Client {
        /// What is wrong.
        reason: String,
    },
    /// No asynchronous runtime for the queries.
    #[error("cannot start the queries: {0}")]
    Start(std::io::Error),
    /// Start, end and step make no range.
    #[error("the range is empty: its start must not be after its end, and its step above 0")]
    Range,
    /// Two ranges share steps.
    #[error(
        "the ranges overlap: one begins at {start}, before {end}, where the one before it ends; \
         join them into one"
    )]
    Overlap {
        /// The later start.
        start: String,
        /// The end before which it lies.
        end: String,
    },
    /// Nothing is left.
    #[error("every step is excluded; use fewer or shorter exclusions, or a longer range")]
    AllExcluded,
    /// A file cannot be asked.
    #[error(
        "a query can exclude steps of a server's history, not of a CSV file; exclude ranges instead"
    )]
    ExcludeFromCsv,
    /// A server has no answer to a question: why, in its own words or the system's, and what to do.
    #[error("{0}")]
    NoAnswer(String),
    /// More values than fit.
    #[error(
        "{entities} entities, {steps} steps and {features} features are too many values; use a \
         longer step, a shorter range or fewer entities, or raise history.max_values; `portent train` takes \
         a sample of the entities where train.max_memory is lower"
    )]
    TooMuch {
        /// Entities so far.
        entities: usize,
        /// Steps.
        steps: usize,
        /// Features.
        features: usize,
    },
    /// Not even one entity fits.
    #[error(
        "{steps} steps of {features} features are too much for train.max_memory even for one \
         entity; \
         use a longer step or a shorter range, or raise it"
    )]
    NoRoom {
        /// Steps.
        steps: usize,
        /// Features.
        features: usize,
    },
    /// No entity has any value.
    #[error(
        "the server has no value for {features} at any of {steps} steps of {step} from {from} to \
         {to}; look at the expressions in the server's own page, and at the range"
    )]
    NoData {
        /// The features.
        features: String,
        /// The first step.
        from: String,
        /// The last step.
        to: String,
        /// How many steps.
        steps: usize,
        /// Their distance.
        step: String,
    },
    /// No entity has any value, since one or more features have two wherever they have one.
    #[error(
        "feature {feature:?} has two series for the entity {entity}: aggregate them, as in \
         `sum by (...) (...)`; the expression is {expr}"
    )]
    Twice {
        /// The feature.
        feature: String,
        /// The entity.
        entity: String,
        /// Its expression.
        expr: String,
    },
    /// No series of a feature can be told an entity's.
    #[error(
        "feature {feature:?} has no series with the entity labels: {labels} is without {lacking}; \
         keep them in its expression, as in `sum by ({entity}) (...)`, or choose others"
    )]
    NoEntity {
        /// The feature.
        feature: String,
        /// The labels of one of its series.
        labels: String,
        /// Entity labels that it does not have.
        lacking: String,
        /// The entity labels.
        entity: String,
    },
    /// A folder for answers that cannot be used.
    #[error("cannot keep answers in {path}: {reason}")]
    Resume {
        /// The folder or a file in it.
        path: PathBuf,
        /// The system's own words.
        reason: String,
    },
}

impl HistoryError {
    /// Whether it cannot work as it was typed or configured, whatever the server or the file has.
    #[must_use]
    pub fn is_typed_wrong(&self) -> bool {
        matches!(
            self,
            Self::Url { .. }
                | Self::TwoCredentials
                | Self::File { .. }
                | Self::Client { .. }
                | Self::Range
                | Self::Overlap { .. }
                | Self::ExcludeFromCsv
        )
    }
}

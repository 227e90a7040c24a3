//! Why bytes are not a usable model.

/// Why bytes are not a usable model.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Larger than anything sensible.
    #[error("the model has {bytes} bytes, more than the {limit} that are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Not the ONNX format.
    #[error("the model is not an ONNX file")]
    NotOnnx(#[source] prost::DecodeError),
    /// An ONNX file or something that looks like one, without a graph.
    #[error("the model holds no graph: it is empty or not an ONNX file")]
    NoGraph,
    /// Weights in another file.
    #[error(
        "the model's weights are in another file ({location}), and one file is read: save it as one, \
         by `external_data=False` in torch.onnx.export or `onnx.save(onnx.load(FILE), ONE_FILE)`"
    )]
    External {
        /// The other file.
        location: String,
    },
    /// Written by a later version.
    #[error(
        "the model's metadata has schema {found}, this version reads schema {expected}; use a \
         newer Portent or train again"
    )]
    Schema {
        /// What the file says.
        found: u32,
        /// What this version reads.
        expected: u32,
    },
    /// An entry that the schema does not have.
    #[error("{key} is unknown to schema {schema}: correct its name, or leave it out")]
    Unknown {
        /// The entry.
        key: String,
        /// What this version reads.
        schema: u32,
    },
    /// An entry that cannot be read.
    #[error("{key} is {value:?}: {reason}")]
    Malformed {
        /// The entry.
        key: String,
        /// How it starts.
        value: String,
        /// What is wrong.
        reason: String,
    },
    /// File and configuration disagree.
    #[error(
        "{key}: the file says {file}, the configuration says {config}; leave it out of the \
         configuration or use another file"
    )]
    Contradiction {
        /// What they disagree about.
        key: String,
        /// The file's value.
        file: String,
        /// The configuration's value.
        config: String,
    },
    /// What is to be trained first.
    #[error(
        "it has features or entity labels of its own and no model file yet, which is the step before the \
         first training: `portent train --config.file FILE --model {model} --prometheus.url URL --start -14d \
         --output {model}.onnx`; then write `file: {model}.onnx` in its item of `models`"
    )]
    Untrained {
        /// Its name.
        model: String,
    },
    /// Neither file nor configuration tells.
    #[error(
        "neither the file nor the configuration tells the model's {keys}; a file that Portent did \
         not write needs them in its item of `models`"
    )]
    Missing {
        /// What is missing.
        keys: String,
    },
    /// A value that no graph can be used with.
    #[error("{what}: {reason}")]
    Invalid {
        /// The key.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
}

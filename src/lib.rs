//! Portent.

pub mod duration;
pub mod features;
pub mod labels;
pub mod matcher;
pub mod sample;
pub mod series;

/// Messages compiled from `proto/`.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    /// Remote-write 1.0.
    pub mod prometheus {
        include!(concat!(env!("OUT_DIR"), "/prometheus.rs"));
    }
    /// The ONNX model format.
    pub mod onnx {
        include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
    }
}

//! A feature: a named PromQL expression that gives one value to each entity.

mod spec;

pub use spec::{FeatureSpec, Missing, MissingError};

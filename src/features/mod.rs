//! A feature: a named PromQL expression that gives one value to each entity.
//!
//! In: a store of series and `now`. Out: a [`FeatureMatrix`] of entities and features with what is
//! missing marked. It is the only way to a feature: serving evaluates the expressions here, training
//! asks a server to evaluate the same text, and what a server answered comes back as a matrix by
//! [`Playback`]. It does not know models, files or clocks.

mod absence;
mod clock;
mod entity;
mod entity_mapping;
mod freshness;
mod matrix;
mod memory;
mod parsed;
mod playback;
mod policy;
mod profile;
mod recording;
mod rules;
mod set;
mod spec;
mod watch;
mod window;

pub use absence::ABSENCE_MEMORY_MS;
pub use clock::{Clock, TIME_OF_DAY, TIME_OF_WEEK};
pub use entity::LEAST_MEMORY_MS;
pub use freshness::{Freshness, Liveness, Trail};
pub use matrix::{EntityState, FeatureMatrix, Provenance, ProvenanceCounts};
pub use memory::{CellMemory, FeatureMemory, WindowMemory};
pub use parsed::{FeatureError, Features};
pub use playback::{Observed, Playback};
pub use profile::{PROFILE_ENTITY, PROFILE_VERSION, ProfileFeature, profile, profile_guide};
pub use recording::{Counts, EntityRecording, Recording, Sightings};
pub use set::FeatureSet;
pub use spec::{Absence, FeatureSpec, Missing, MissingError};
pub use window::Windows;

#[cfg(test)]
mod churn_tests;
#[cfg(test)]
mod tests;

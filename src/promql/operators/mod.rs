//! The operators: what is computed, as pure functions over windows, values and label sets.
//!
//! In: samples, numbers, a label set, and which function or operator of the syntax. Out: a number, or
//! none. They know no store, no layout and no other node; that walk is the engine's.

pub(super) mod aggregate;
pub(super) mod any_sample;
pub(super) mod binary;
pub(super) mod calendar;
pub(super) mod go_format;
pub(super) mod heap;
pub(super) mod histogram;
pub(super) mod histogram_binary;
pub(super) mod histogram_fold;
pub(super) mod histogram_range;
#[cfg(test)]
mod histogram_range_tests;
pub(super) mod histogram_rate;
pub(super) mod map;
pub(super) mod order;
pub(super) mod over_time;
pub(super) mod range;
pub(super) mod range_outcome;
pub(super) mod rate;
pub(super) mod relabel;
pub(super) mod summation;
pub(super) mod window;

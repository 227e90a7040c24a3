//! Evaluation: how a model does on history, in the figures an operator feels.

pub mod backtest;
pub mod output;

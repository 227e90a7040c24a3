//! A map: a function of each element of a vector by itself.
//!
//! The result has the vector's labels without the metric name.
//! Source: Prometheus `promql/functions.go`; Go's `math` for the special cases.

use std::sync::Arc;

use crate::histogram::NativeHistogram;
use crate::promql::operators::map::apply;
use crate::promql::syntax::function::MapFunction;

use super::context::{Context, Inputs, NodeId, Output};
use super::error::EvalError;

/// The node of a map.
#[derive(Debug)]
pub(super) struct Map {
    pub(super) function: MapFunction,
    pub(super) vector: NodeId,
    pub(super) parameters: Vec<NodeId>,
}

impl Map {
    pub(super) fn eval(
        &mut self,
        cx: &mut Context,
        inputs: Inputs,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        let input = inputs.vector(self.vector)?;
        let mut parameters = [0.0; 2];
        for (parameter, id) in parameters.iter_mut().zip(&self.parameters) {
            *parameter = inputs.scalar(*id)?;
        }
        out.derive_nameless(&input.layout, cx.versions);
        out.present.copy_from_slice(&input.present);
        let given = self.parameters.len();
        let to = (&mut out.values[..], &mut out.present[..]);
        apply(self.function, &input.values, to, &parameters[..given], cx.time_ms);
        for (i, histogram) in input.histograms() {
            match self.function {
                MapFunction::OfHistogram(figure) => out.put(i, Some(figure.of(histogram))),
                MapFunction::Negate => {
                    let mut negated = NativeHistogram::clone(histogram);
                    negated.multiply(-1.0);
                    out.put_histogram(i, Arc::new(negated));
                }
                MapFunction::EvalTime => out.put(i, Some(cx.time_ms as f64 / 1000.0)),
                // Of numbers.
                _ => {}
            }
        }
        match self.function {
            MapFunction::Negate => out.check_run(cx, Some(&input.layout)),
            _ => out.check_labels(cx),
        }
    }
}

//! What a graph does with every branch: from its distance to a residual, a value and shares.

use super::{END, KEEP, With, Writer, residual, value};
use crate::model::graph::Attribute;
use crate::train::branches::{Aggregate, Branch, BranchKind, Model};

impl Writer<'_> {
    /// One branch, from its residual to its part of the error and of each feature's contribution.
    pub(in crate::train) fn branch(&mut self, branch: &Branch) {
        let name = branch.model.kind().name();
        match &branch.model {
            Model::Season => self.season(),
            Model::Level => self.level(),
            Model::Forecast(map) => self.forecast(map.weights.dim()),
            Model::Autoencoder(autoencoder) => self.autoencoder(autoencoder),
        }
        let own = |part: &str| format!("{name}_{part}");
        let [distance, inverse, scaled] = ["distance", "inverse", "ratio"].map(own);
        let kind = branch.model.kind();
        let (residual, value) = (residual(kind), value(kind));
        self.parameter(&inverse, With::Rows, &|it| it.branch(kind).inverse.clone());
        self.graph.node("Mul", &[&distance, &inverse], &scaled).node(
            "Mul",
            &[&scaled, "counted"],
            &residual,
        );
        self.aggregate(kind);
        let [usual, ratio, capped, weight, part, share, contribution] =
            ["usual", "usuals", "capped", "weight", "part", "share", "contribution"].map(own);
        self.parameter(&usual, With::Rows, &|it| vec![it.branch(kind).quantile]);
        self.graph.constant(&weight, &[], &[branch.weight]).node("Div", &[&value, &usual], &ratio);
        let counted = match branch.cap {
            Some(cap) => {
                let limit = own("cap");
                self.graph.constant(&limit, &[], &[cap]).node("Min", &[&ratio, &limit], &capped);
                capped
            }
            None => ratio,
        };
        self.graph.node("Mul", &[&counted, &weight], &part).node(
            "Mul",
            &[&share, &part],
            &contribution,
        );
    }

    /// The value of a branch, `[N, 1]`, and each feature's share of it.
    fn aggregate(&mut self, kind: BranchKind) {
        let own = |part: &str| format!("{}_{part}", kind.name());
        let [size, sum, parts] = ["size", "sum", "parts"].map(own);
        let (kept, value) = (&residual(kind), value(kind));
        let features = self.features();
        let graph = &mut self.graph;
        match kind.aggregate() {
            Aggregate::RootMeanSquare => {
                let mean = own("mean");
                graph
                    .node("Mul", &[kept, kept], &parts)
                    .node_with("ReduceSum", &[&parts, "feature_axis"], &sum, &KEEP)
                    .node("Div", &[&sum, "count"], &mean)
                    .node("Sqrt", &[&mean], &value);
            }
            Aggregate::Largest(most) => {
                let most = most.min(features);
                let [places, largest, total, least, is_kept, flags, limit, count] =
                    ["places", "largest", "total", "least", "is_kept", "flags", "limit", "count"]
                        .map(own);
                graph
                    .integers(&places, &[most as i64])
                    .constant(&limit, &[], &[most as f32])
                    .node("Abs", &[kept], &size)
                    .node_many("TopK", &[&size, &places], &[&largest, &own("ranks")])
                    .node_with("ReduceSum", &[&largest, "feature_axis"], &total, &KEEP)
                    .node("Min", &["count", &limit], &count)
                    .node("Div", &[&total, &count], &value);
                self.slice(&largest, 1, (-1, END), &least);
                // 1 is float32 in TensorProto.DataType.
                self.graph
                    .node("GreaterOrEqual", &[&size, &least], &is_kept)
                    .node_with("Cast", &[&is_kept], &flags, &[Attribute::Int("to", 1)])
                    .node("Mul", &[&size, &flags], &parts)
                    .node_with("ReduceSum", &[&parts, "feature_axis"], &sum, &KEEP);
            }
        }
        let [divisor, share] = ["divisor", "share"].map(own);
        self.graph.node("Clip", &[&sum, "tiny"], &divisor).node("Div", &[&parts, &divisor], &share);
    }
}

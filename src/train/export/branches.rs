//! What a graph does in each branch: from what all need to a residual, a value and shares.

use super::{END, KEEP, With, Writer, residual, rounded, value};
use crate::model::LEVEL;
use crate::model::graph::Attribute;
use crate::train::autoencoder::Autoencoder;
use crate::train::branch::{Aggregate, Branch, Kind, Model};
use crate::train::fit::Fitted;
use crate::train::forecast::Forecast;
use crate::train::network::Output;

/// The forecast of a fit that has one.
fn map_of(fitted: &Fitted) -> &Forecast {
    match &fitted.branch(Kind::Forecast).model {
        Model::Forecast { map, .. } => map,
        other => unreachable!("{other:?} is no forecast"),
    }
}

/// The autoencoder of a fit that has one.
pub(super) fn network_of(fitted: &Fitted) -> &Autoencoder {
    match &fitted.branch(Kind::Autoencoder).model {
        Model::Autoencoder(autoencoder) => autoencoder,
        other => unreachable!("{other:?} is no autoencoder"),
    }
}

impl Writer<'_> {
    /// One branch, from its residual to its part of the error and of each feature's contribution.
    pub(super) fn branch(&mut self, branch: &Branch) {
        let name = branch.kind().name();
        match &branch.model {
            Model::Season => self.season(),
            Model::Level => self.level(),
            Model::Forecast { lags, map } => self.forecast(*lags, map.weights.dim()),
            Model::Autoencoder(autoencoder) => self.autoencoder(autoencoder),
        }
        let own = |part: &str| format!("{name}_{part}");
        let [distance, inverse, scaled] = ["distance", "inverse", "ratio"].map(own);
        let kind = branch.kind();
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

    fn season(&mut self) {
        self.parameter("season_bias", With::Rows, &|it| rounded(&it.base.season.bias));
        self.graph.node("Add", &["course", "season_bias"], "season_expected").node(
            "Sub",
            &["newest", "season_expected"],
            "season_distance",
        );
    }

    fn level(&mut self) {
        let [mean, scale] = LEVEL;
        self.parameter("wave_square", With::Rows, &|it| it.base.wave_square.clone());
        self.parameter("season_scale", With::Rows, &|it| it.base.season_scale.clone());
        self.parameter("deviations_per_unit", With::Rows, &|it| it.base.scaler.inverse.clone());
        self.graph
            .node("Sub", &["raw", mean], "from_level")
            .node("Mul", &["from_level", "deviations_per_unit"], "level_departure")
            .node("Sub", &["level_departure", "course"], "level_unscaled")
            .node("Mul", &[scale, "deviations_per_unit"], "level_deviation")
            .node("Mul", &["level_deviation", "level_deviation"], "level_variance")
            .node("Sub", &["level_variance", "wave_square"], "level_rest")
            .node("Clip", &["level_rest", "zero"], "level_positive")
            .node("Sqrt", &["level_positive"], "level_own")
            .node("Max", &["level_own", "season_scale"], "level_unit")
            .node("Div", &["level_unscaled", "level_unit"], "level_distance");
    }

    fn forecast(&mut self, lags: usize, (inputs, width): (usize, usize)) {
        self.flattened("clipped", (-1 - lags as i64, -1), "forecast_earlier");
        let input = if self.first().base.season.harmonics.count() > 0 {
            let names = ["forecast_earlier", "waves"];
            self.graph.node_with("Concat", &names, "forecast_input", &[Attribute::Int("axis", 1)]);
            "forecast_input"
        } else {
            "forecast_earlier"
        };
        let map = |it: &Fitted| {
            let map = map_of(it);
            (rounded(&map.weights), rounded(&map.bias))
        };
        let weights = ("forecast_weights", [inputs, width]);
        self.linear(input, weights, "forecast_bias", &map, "forecast_expected");
        self.newest("clipped", "clipped_newest");
        self.graph.node("Sub", &["clipped_newest", "forecast_expected"], "forecast_distance");
    }

    fn autoencoder(&mut self, autoencoder: &Autoencoder) {
        if autoencoder.is_plain() {
            self.flattened("clipped", (-(autoencoder.steps as i64), END), "layer_0");
            self.newest("clipped", "network_observed");
        } else {
            self.network_values(autoencoder);
        }
        let layers = &autoencoder.network.layers;
        for (i, layer) in layers.iter().enumerate() {
            let (rows, columns) = layer.weights.dim();
            let [input, output] = [i, i + 1].map(|i| format!("layer_{i}"));
            let [weights_name, bias_name, sum] =
                ["weights", "bias", "sum"].map(|part| format!("{part}_{}", i + 1));
            let activation = match (i + 1 == layers.len(), autoencoder.network.output) {
                (true, Output::Linear) => "Identity",
                (true, Output::Sigmoid) => "Sigmoid",
                (false, _) => "Relu",
            };
            let layer = |it: &Fitted| {
                let layer = &network_of(it).network.layers[i];
                (rounded(&layer.weights), rounded(&layer.bias))
            };
            let weights = (weights_name.as_str(), [rows, columns]);
            self.linear(&input, weights, &bias_name, &layer, &sum);
            self.graph.node(activation, &[&sum], &output);
        }
        let expected = format!("layer_{}", layers.len());
        self.graph.node("Sub", &["network_observed", &expected], "autoencoder_distance");
    }

    /// What the network is fed with, and what its answer is held against, where these are not simply
    /// the deviations.
    fn network_values(&mut self, autoencoder: &Autoencoder) {
        let (low, high) = autoencoder.input_clip;
        let (least, most) = autoencoder.residual_clip;
        self.parameter("network_factor", With::Windows, &|it| network_of(it).factor.clone());
        self.parameter("network_offset", With::Windows, &|it| network_of(it).offset.clone());
        self.graph
            .constant("network_low", &[], &[low])
            .constant("network_high", &[], &[high])
            .constant("network_least", &[], &[least])
            .constant("network_most", &[], &[most])
            .node("Mul", &["scaled", "network_factor"], "network_scaled")
            .node("Add", &["network_scaled", "network_offset"], "network_values")
            .node("Clip", &["network_values", "network_low", "network_high"], "network_clipped");
        self.flattened("network_clipped", (-(autoencoder.steps as i64), END), "layer_0");
        self.newest("network_values", "network_newest");
        let clip = ["network_newest", "network_least", "network_most"];
        self.graph.node("Clip", &clip, "network_observed");
    }

    /// The value of a branch, `[N, 1]`, and each feature's share of it.
    fn aggregate(&mut self, kind: Kind) {
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

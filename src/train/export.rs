//! Export: a fit as an ONNX graph that computes error, contributions and reconstruction by itself.
//!
//! ```text
//! features, mask ─▶ scaled ─┬─ newest ─────────────┬─▶ season ──────┐
//!                           ├─ clipped ─▶ earlier ─┼─▶ forecast ────┼─▶ ÷ usual, · weight ─▶ sum ─▶ score
//!                           └─ clipped ────────────┼─▶ autoencoder ─┤                └▶ shares ─▶ contribution
//! level_mean, level_scale ─────────────────────────┴─▶ level ───────┘
//! ```
//!
//! The graph has everything that happens between a window and its error, so that serving adds
//! nothing and cannot differ. What is missing is 0 after scaling, the mean, and has residual 0; what
//! does not count has residual 0 and is its own reconstruction.

mod outputs;

use bytes::Bytes;

use super::autoencoder::Autoencoder;
use super::branch::{Base, Branch, INPUT_CLIP, Kind, Model};
use super::fit::Fitted;
use super::forecast::Forecast;
use super::network::Output;
use super::residual::Aggregate;
use crate::model::graph::{Attribute, Graph};
use crate::model::{Dim, LEVEL, MASK, Metadata};

/// Divides where the error is zero: shares are then 0. Far below any error that float32 can sum
/// from its own rounding, far above where division overflows.
const TINY: f32 = 1e-30;

/// The end of a slice that goes to the end.
const END: i64 = i32::MAX as i64;

const KEEP: [Attribute; 1] = [Attribute::Int("keepdims", 1)];
const DROP: [Attribute; 1] = [Attribute::Int("keepdims", 0)];

/// The bytes of the model file.
pub(super) fn export(fitted: &Fitted, metadata: &Metadata) -> Bytes {
    let mut writer = Writer { graph: Graph::new("portent"), fitted };
    writer.inputs();
    writer.common();
    for branch in &fitted.branches {
        writer.branch(branch);
    }
    writer.outputs();
    writer.graph.encode(metadata.properties())
}

/// A graph in the making.
struct Writer<'a> {
    graph: Graph,
    fitted: &'a Fitted,
}

impl Writer<'_> {
    fn features(&self) -> usize {
        self.fitted.base.scaler.kinds.len()
    }

    fn is_windowed(&self) -> bool {
        self.fitted.base.window > 1
    }

    fn uses(&self, kind: Kind) -> bool {
        self.fitted.branches.iter().any(|branch| branch.kind() == kind)
    }

    fn inputs(&mut self) {
        let (batch, features) = (Dim::Dynamic("N".to_owned()), Dim::Fixed(self.features()));
        let row = [batch.clone(), features.clone()];
        let shape = match self.fitted.base.window {
            1 => row.to_vec(),
            window => vec![batch, Dim::Fixed(window), features],
        };
        self.graph.input("features", &shape).input(MASK, &shape);
        if self.uses(Kind::Level) {
            LEVEL.iter().for_each(|name| {
                self.graph.input(name, &row);
            });
        }
    }

    /// Part of an axis as a tensor of the same rank.
    fn slice(&mut self, input: &str, axis: i64, (from, to): (i64, i64), output: &str) {
        let names = ["starts", "ends", "axes"].map(|part| format!("{output}_{part}"));
        let values = [from, to, axis];
        for (name, value) in names.iter().zip(values) {
            self.graph.integers(name, &[value]);
        }
        self.graph.node("Slice", &[input, &names[0], &names[1], &names[2]], output);
    }

    /// The newest step of a window, `[N, F]`.
    fn newest(&mut self, input: &str, output: &str) {
        if self.is_windowed() {
            let whole = format!("{output}_step");
            self.slice(input, 1, (-1, END), &whole);
            self.graph.node("Squeeze", &[&whole, "step_axis"], output);
        } else {
            self.graph.node("Identity", &[input], output);
        }
    }

    /// Some steps of a window as one row each, oldest first.
    fn flattened(&mut self, input: &str, steps: (i64, i64), output: &str) {
        if self.is_windowed() {
            let part = format!("{output}_steps");
            let shape = format!("{output}_shape");
            self.slice(input, 1, steps, &part);
            // As many rows as there are, and all the rest in one.
            self.graph.integers(&shape, &[0, -1]).node("Reshape", &[&part, &shape], output);
        } else {
            self.graph.node("Identity", &[input], output);
        }
    }

    /// What every branch needs: scaled values, time, what counts.
    fn common(&mut self) {
        let base = &self.fitted.base;
        let width = [self.features()];
        self.graph
            .integers("step_axis", &[1])
            .integers("feature_axis", &[1])
            .constant("one", &[], &[1.0])
            .constant("zero", &[], &[0.0])
            .constant("tiny", &[], &[TINY])
            .constant("offset", &width, &base.scaler.offset)
            .constant("inverse", &width, &base.scaler.inverse)
            .constant("counting", &width, &base.scaler.counting())
            .constant("clip_low", &[], &[-INPUT_CLIP])
            .constant("clip_high", &[], &[INPUT_CLIP])
            .node("Sub", &["features", "offset"], "shifted")
            .node("Mul", &["shifted", "inverse"], "deviations")
            .node("Mul", &["deviations", MASK], "scaled")
            .node("Clip", &["scaled", "clip_low", "clip_high"], "clipped");
        self.newest("features", "raw");
        self.newest(MASK, "there");
        self.newest("scaled", "newest");
        self.graph
            .node("Mul", &["there", "counting"], "counted")
            .node_with("ReduceSum", &["counted", "feature_axis"], "counted_sum", &KEEP)
            .node("Clip", &["counted_sum", "one"], "count");
        self.waves(base);
    }

    /// Sines and cosines of the time, and the season's course.
    fn waves(&mut self, base: &Base) {
        let harmonics = base.season.harmonics;
        let mut waves = Vec::new();
        let clocks = [("day", harmonics.daily), ("week", harmonics.weekly)];
        for ((name, count), column) in clocks.into_iter().zip(base.clocks) {
            if count == 0 {
                continue;
            }
            let [clock, turns, phase] =
                ["share", "turns", "phase"].map(|part| format!("{name}_{part}"));
            let turn = |k: usize| (std::f64::consts::TAU * k as f64) as f32;
            let values: Vec<f32> = (1..=count).map(turn).collect();
            self.slice("raw", 1, (column as i64, column as i64 + 1), &clock);
            self.graph.constant(&turns, &[1, count], &values).node(
                "Mul",
                &[&clock, &turns],
                &phase,
            );
            for function in ["Sin", "Cos"] {
                let wave = format!("{name}_{}", function.to_lowercase());
                self.graph.node(function, &[&phase], &wave);
                waves.push(wave);
            }
        }
        let width = self.features();
        if waves.is_empty() {
            self.graph.constant("course", &[1, width], &vec![0.0; width]);
            return;
        }
        let names: Vec<&str> = waves.iter().map(String::as_str).collect();
        let weights: Vec<f32> = base.season.weights.iter().map(|it| *it as f32).collect();
        self.graph
            .node_with("Concat", &names, "waves", &[Attribute::Int("axis", 1)])
            .constant("season_weights", &[harmonics.count(), width], &weights)
            .node("MatMul", &["waves", "season_weights"], "course");
    }

    /// One branch, from its residual to its part of the error and of each feature's contribution.
    fn branch(&mut self, branch: &Branch) {
        let name = branch.kind().name();
        match &branch.model {
            Model::Season => self.season(),
            Model::Level => self.level(),
            Model::Forecast { lags, map } => self.forecast(*lags, map),
            Model::Autoencoder(autoencoder) => self.autoencoder(autoencoder),
        }
        let own = |part: &str| format!("{name}_{part}");
        let [residual, inverse, scaled, kept] = ["residual", "inverse", "ratio", "kept"].map(own);
        self.graph
            .constant(&inverse, &[branch.inverse.len()], &branch.inverse)
            .node("Mul", &[&residual, &inverse], &scaled)
            .node("Mul", &[&scaled, "counted"], &kept);
        self.aggregate(name, &kept, branch.kind().aggregate());
        let [value, usual, ratio, capped, weight, part, share, contribution] =
            ["value", "usual", "usuals", "capped", "weight", "part", "share", "contribution"]
                .map(own);
        self.graph
            .constant(&usual, &[], &[branch.quantile])
            .constant(&weight, &[], &[branch.weight])
            .node("Div", &[&value, &usual], &ratio);
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
        let bias: Vec<f32> = self.fitted.base.season.bias.iter().map(|it| *it as f32).collect();
        self.graph
            .constant("season_bias", &[bias.len()], &bias)
            .node("Add", &["course", "season_bias"], "season_expected")
            .node("Sub", &["newest", "season_expected"], "season_residual");
    }

    fn level(&mut self) {
        let base = &self.fitted.base;
        let width = [self.features()];
        let [mean, scale] = LEVEL;
        self.graph
            .constant("wave_square", &width, &base.wave_square)
            .constant("season_scale", &width, &base.season_scale)
            .node("Sub", &["raw", mean], "from_level")
            .node("Mul", &["from_level", "inverse"], "level_departure")
            .node("Sub", &["level_departure", "course"], "level_unscaled")
            .node("Mul", &[scale, "inverse"], "level_deviation")
            .node("Mul", &["level_deviation", "level_deviation"], "level_variance")
            .node("Sub", &["level_variance", "wave_square"], "level_rest")
            .node("Clip", &["level_rest", "zero"], "level_positive")
            .node("Sqrt", &["level_positive"], "level_own")
            .node("Max", &["level_own", "season_scale"], "level_unit")
            .node("Div", &["level_unscaled", "level_unit"], "level_residual");
    }

    fn forecast(&mut self, lags: usize, map: &Forecast) {
        let (inputs, width) = map.weights.dim();
        let weights: Vec<f32> = map.weights.iter().map(|it| *it as f32).collect();
        let bias: Vec<f32> = map.bias.iter().map(|it| *it as f32).collect();
        self.flattened("clipped", (-1 - lags as i64, -1), "forecast_earlier");
        let input = if self.fitted.base.season.harmonics.count() > 0 {
            let names = ["forecast_earlier", "waves"];
            self.graph.node_with("Concat", &names, "forecast_input", &[Attribute::Int("axis", 1)]);
            "forecast_input"
        } else {
            "forecast_earlier"
        };
        self.graph
            .constant("forecast_weights", &[inputs, width], &weights)
            .constant("forecast_bias", &[width], &bias)
            .node("Gemm", &[input, "forecast_weights", "forecast_bias"], "forecast_expected");
        self.newest("clipped", "clipped_newest");
        self.graph.node("Sub", &["clipped_newest", "forecast_expected"], "forecast_residual");
    }

    fn autoencoder(&mut self, autoencoder: &Autoencoder) {
        let width = [self.features()];
        let (low, high) = autoencoder.input_clip;
        let (least, most) = autoencoder.residual_clip;
        self.graph
            .constant("network_factor", &width, &autoencoder.factor)
            .constant("network_offset", &width, &autoencoder.offset)
            .constant("network_low", &[], &[low])
            .constant("network_high", &[], &[high])
            .constant("network_least", &[], &[least])
            .constant("network_most", &[], &[most])
            .node("Mul", &["scaled", "network_factor"], "network_scaled")
            .node("Add", &["network_scaled", "network_offset"], "network_values")
            .node("Clip", &["network_values", "network_low", "network_high"], "network_clipped");
        self.flattened("network_clipped", (-(autoencoder.steps as i64), END), "layer_0");
        let layers = &autoencoder.network.layers;
        for (i, layer) in layers.iter().enumerate() {
            let (rows, columns) = layer.weights.dim();
            // Weights were rounded to float32 before: these casts are exact.
            let weights: Vec<f32> = layer.weights.iter().map(|&it| it as f32).collect();
            let bias: Vec<f32> = layer.bias.iter().map(|&it| it as f32).collect();
            let [input, output] = [i, i + 1].map(|i| format!("layer_{i}"));
            let [weights_name, bias_name, sum] =
                ["weights", "bias", "sum"].map(|part| format!("{part}_{}", i + 1));
            let activation = match (i + 1 == layers.len(), autoencoder.network.output) {
                (true, Output::Linear) => "Identity",
                (true, Output::Sigmoid) => "Sigmoid",
                (false, _) => "Relu",
            };
            self.graph
                .constant(&weights_name, &[rows, columns], &weights)
                .constant(&bias_name, &[columns], &bias)
                .node("Gemm", &[&input, &weights_name, &bias_name], &sum)
                .node(activation, &[&sum], &output);
        }
        let expected = format!("layer_{}", layers.len());
        self.newest("network_values", "network_newest");
        let clip = ["network_newest", "network_least", "network_most"];
        self.graph.node("Clip", &clip, "network_observed").node(
            "Sub",
            &["network_observed", &expected],
            "autoencoder_residual",
        );
    }

    /// The value of a branch, `[N, 1]`, and each feature's share of it.
    fn aggregate(&mut self, name: &str, kept: &str, aggregate: Aggregate) {
        let own = |part: &str| format!("{name}_{part}");
        let [value, size, sum, parts] = ["value", "size", "sum", "parts"].map(own);
        let graph = &mut self.graph;
        match aggregate {
            Aggregate::RootMeanSquare => {
                let mean = own("mean");
                graph
                    .node("Mul", &[kept, kept], &parts)
                    .node_with("ReduceSum", &[&parts, "feature_axis"], &sum, &KEEP)
                    .node("Div", &[&sum, "count"], &mean)
                    .node("Sqrt", &[&mean], &value);
            }
            Aggregate::Largest(most) => {
                let most = most.min(self.fitted.base.scaler.kinds.len());
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

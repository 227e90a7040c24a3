//! The contract between a graph and the scorer: which inputs it may ask for, which outputs it may
//! give, and what they are taken for.
//!
//! | outputs | taken for |
//! |---|---|
//! | `score [N]` or `[N, 1]`, perhaps `contribution [N, F]`, perhaps `reconstruction [N, F]` | what their names say |
//! | one, shaped like the input | the reconstruction: the error is the mean squared difference |
//! | one, `[N]` or `[N, 1]` | the error |
//!
//! Besides the features a graph may ask for `mask`, `level_mean` with `level_scale`, and `entity`, by
//! these names.
//!
//! In: declared inputs, and the shapes that a trial run gave (declared output shapes are often
//! missing or wrong). Out: a plan, or a refusal that names what was expected and what was found.

use super::artifact::{Dim, Element, Port};

/// Why a graph cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// It asks for nothing.
    #[error("the graph has no input; expected float32 {expected}")]
    NoInput {
        /// What it should ask for.
        expected: String,
    },
    /// Its first input does not fit the features.
    #[error(
        "input {found}: expected float32 {expected} for {features} features and a window of {window}"
    )]
    Input {
        /// The input.
        found: String,
        /// What it should be.
        expected: String,
        /// Features of the model.
        features: usize,
        /// Steps of the model's window.
        window: usize,
    },
    /// It asks for something else besides.
    #[error(
        "input {found}: nothing is known to feed it with; besides the features only `mask` float32 \
         {mask}, `level_mean` and `level_scale` float32 {level} and `entity` float32 [N] are fed"
    )]
    ExtraInput {
        /// The input.
        found: String,
        /// The shape of a mask.
        mask: String,
        /// The shape of a level.
        level: String,
    },
    /// Half a level.
    #[error("the graph has an input {found} and none named {missing}: a level is both")]
    HalfLevel {
        /// The input that is there.
        found: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// Its outputs cannot be taken for anything.
    #[error(
        "outputs {found} for an input of {input}: expected `score` [N] (with `contribution` and \
         `reconstruction` [N, {features}] if any), or one output shaped like the input, or one \
         output [N]"
    )]
    Outputs {
        /// Names and shapes.
        found: String,
        /// The shape of the input in the trial.
        input: String,
        /// Features of the model.
        features: usize,
    },
}

/// What to feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InputPlan {
    /// The name of the input for the features.
    pub features: String,
    /// Whether it is `[N, W, F]`; otherwise `[N, F]`.
    pub windowed: bool,
    /// Whether there is an input `mask`.
    pub mask: bool,
    /// Whether there are inputs `level_mean` and `level_scale`.
    pub level: bool,
    /// Whether there is an input `entity`.
    pub entity: bool,
}

/// What to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutputPlan {
    /// The graph computes everything; which of the optional outputs it has.
    Named { contribution: bool, reconstruction: bool },
    /// The only output is the reconstruction.
    Reconstruction,
    /// The only output is the error.
    Score,
}

/// The name of the optional input that tells which values were there: 1, otherwise 0.
pub const MASK: &str = "mask";

/// The names of the optional inputs with the entity's own long-running level.
pub const LEVEL: [&str; 2] = ["level_mean", "level_scale"];

/// The name of the optional input with the entity's place among those that the model knows, from 1
/// on; 0 for one that it does not know.
pub const ENTITY: &str = "entity";

/// Judges the declared inputs.
pub(super) fn judge_inputs(
    inputs: &[Port],
    features: usize,
    window: usize,
) -> Result<InputPlan, ContractError> {
    let flat = format!("[N, {features}]");
    let windowed = format!("[N, {window}, {features}]");
    let expected = if window == 1 { format!("{flat} or {windowed}") } else { windowed };
    let Some((first, others)) = inputs.split_first() else {
        return Err(ContractError::NoInput { expected });
    };
    let fits = |dim: &Dim, len: usize| matches!(dim, Dim::Dynamic(_)) || *dim == Dim::Fixed(len);
    let is_windowed = match (first.element, first.shape.as_deref()) {
        (Element::Float32, Some([Dim::Dynamic(_), f])) if window == 1 && fits(f, features) => false,
        (Element::Float32, Some([Dim::Dynamic(_), w, f]))
            if fits(w, window) && fits(f, features) =>
        {
            true
        }
        _ => {
            return Err(ContractError::Input {
                found: first.to_string(),
                expected,
                features,
                window,
            });
        }
    };
    let plan = InputPlan {
        features: first.name.clone(),
        windowed: is_windowed,
        mask: has(others, MASK),
        level: has(others, LEVEL[0]),
        entity: has(others, ENTITY),
    };
    judge_others(others, first, features)?;
    Ok(plan)
}

fn has(inputs: &[Port], name: &str) -> bool {
    inputs.iter().any(|input| input.name == name)
}

/// Judges the inputs besides the features.
fn judge_others(others: &[Port], first: &Port, features: usize) -> Result<(), ContractError> {
    let rank = |port: &Port| port.shape.as_ref().map(Vec::len);
    for input in others {
        let expected_rank = match input.name.as_str() {
            MASK => rank(first),
            ENTITY => Some(1),
            name if LEVEL.contains(&name) => Some(2),
            _ => None,
        };
        let fits = expected_rank.is_some() && rank(input) == expected_rank;
        if !fits || input.element != Element::Float32 {
            let dims = first.shape.iter().flatten().map(ToString::to_string);
            return Err(ContractError::ExtraInput {
                found: input.to_string(),
                mask: format!("[{}]", dims.collect::<Vec<_>>().join(", ")),
                level: format!("[N, {features}]"),
            });
        }
    }
    match LEVEL.map(|name| has(others, name)) {
        [true, false] => Err(ContractError::HalfLevel { found: LEVEL[0], missing: LEVEL[1] }),
        [false, true] => Err(ContractError::HalfLevel { found: LEVEL[1], missing: LEVEL[0] }),
        _ => Ok(()),
    }
}

/// Judges what a trial run with an input of shape `input` gave. A shape is `None` where the output
/// was no float32 tensor.
pub(super) fn judge_outputs(
    outputs: &[(&str, Option<Vec<usize>>)],
    input: &[usize],
) -> Result<OutputPlan, ContractError> {
    let (rows, features) = (input[0], input[input.len() - 1]);
    let shape = |name: &str| {
        let found = outputs.iter().find(|(it, _)| *it == name);
        found.map(|(_, shape)| shape.as_deref())
    };
    let is_score = |shape: Option<&[usize]>| shape == Some(&[rows]) || shape == Some(&[rows, 1]);
    // `None` where there is no such output, which is fine.
    let optional = |name: &str| match shape(name) {
        None => Some(false),
        Some(shape) => (shape == Some(&[rows, features])).then_some(true),
    };
    let named = |score| {
        Some(OutputPlan::Named {
            contribution: optional("contribution").filter(|_| is_score(score))?,
            reconstruction: optional("reconstruction")?,
        })
    };
    let plan = match (shape("score"), outputs) {
        (Some(score), _) => named(score),
        (None, [(_, Some(only))]) if only == input => Some(OutputPlan::Reconstruction),
        (None, [(_, Some(only))]) if is_score(Some(only)) => Some(OutputPlan::Score),
        _ => None,
    };
    plan.ok_or_else(|| {
        let text = |(name, shape): &(&str, Option<Vec<usize>>)| match shape {
            Some(shape) => format!("{name} {shape:?}"),
            None => format!("{name} (not float32)"),
        };
        ContractError::Outputs {
            found: outputs.iter().map(text).collect::<Vec<_>>().join(", "),
            input: format!("{input:?}"),
            features,
        }
    })
}

/// Rows for a trial, such that no output can be mistaken for another by the length of a dimension.
pub(super) fn trial_rows(features: usize, window: usize) -> usize {
    [2, 3, 5].into_iter().find(|rows| *rows != features && *rows != window).unwrap_or(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, element: Element, shape: Option<&[usize]>) -> Port {
        // 0 stands for a dynamic dimension.
        let dim = |len: &usize| match len {
            0 => Dim::Dynamic("N".to_owned()),
            len => Dim::Fixed(*len),
        };
        Port {
            name: name.to_owned(),
            element,
            shape: shape.map(|shape| shape.iter().map(dim).collect()),
        }
    }

    /// `expected`: whether the input is windowed, or a part of the refusal.
    #[track_caller]
    fn check_input(window: usize, shape: Option<&[usize]>, expected: Result<bool, &str>) {
        let inputs = [port("x", Element::Float32, shape)];
        match (judge_inputs(&inputs, 4, window), expected) {
            (Ok(plan), Ok(windowed)) => assert_eq!(plan.windowed, windowed),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, _) => panic!("{shape:?} gave {found:?}"),
        }
    }

    #[test]
    fn inputs_fit_features_and_window() {
        check_input(1, Some(&[0, 4]), Ok(false));
        check_input(1, Some(&[0, 0]), Ok(false));
        check_input(1, Some(&[0, 1, 4]), Ok(true));
        check_input(9, Some(&[0, 9, 4]), Ok(true));
        check_input(9, Some(&[0, 0, 0]), Ok(true));
        check_input(1, Some(&[0, 5]), Err("input x float32 [N, 5]: expected float32 [N, 4]"));
        check_input(1, Some(&[1, 4]), Err("x float32 [1, 4]"));
        check_input(9, Some(&[0, 4]), Err("expected float32 [N, 9, 4]"));
        check_input(9, Some(&[0, 8, 4]), Err("[N, 8, 4]"));
        check_input(1, Some(&[0]), Err("[N]"));
        check_input(1, None, Err("x float32 of unknown shape"));
    }

    #[test]
    fn other_kinds_and_further_inputs_are_refused_by_name() {
        let refusal = |inputs: &[Port]| {
            let error = judge_inputs(inputs, 4, 1).expect_err("a refusal");
            error.to_string()
        };
        let features = port("x", Element::Float32, Some(&[0, 4]));
        let double = port("x", Element::Other(11), Some(&[0, 4]));
        assert!(refusal(&[]).contains("no input"));
        assert!(refusal(&[double]).contains("x float64 [N, 4]"));
        let other = port("clock", Element::Float32, Some(&[0, 4]));
        assert!(refusal(&[features.clone(), other]).contains("clock float32 [N, 4]"));
        let mean = port("level_mean", Element::Float32, Some(&[0, 4]));
        assert!(refusal(&[features.clone(), mean.clone()]).contains("none named level_scale"));
        let scale = port("level_scale", Element::Float32, Some(&[0, 4]));
        assert!(refusal(&[features.clone(), scale.clone()]).contains("none named level_mean"));
        let flat = port("level_scale", Element::Float32, Some(&[0]));
        assert!(refusal(&[features.clone(), mean.clone(), flat]).contains("level_scale float32"));
        let mask = port("mask", Element::Float32, Some(&[0, 4]));
        let entity = port("entity", Element::Float32, Some(&[0]));
        let all = [features.clone(), mask, mean, scale, entity];
        let plan = judge_inputs(&all, 4, 1).expect("everything is fed");
        assert!(plan.mask && plan.level && plan.entity && !plan.windowed);
        let mask = port("mask", Element::Other(9), Some(&[0, 4]));
        assert!(refusal(&[features, mask]).contains("mask bool [N, 4]"));
    }

    #[track_caller]
    fn check_outputs(
        outputs: &[(&str, Option<&[usize]>)],
        input: &[usize],
        expected: Option<OutputPlan>,
    ) {
        let outputs: Vec<_> =
            outputs.iter().map(|(name, shape)| (*name, shape.map(<[usize]>::to_vec))).collect();
        let found = judge_outputs(&outputs, input);
        assert_eq!(found.clone().ok(), expected, "{found:?}");
        if let Err(error) = found {
            let text = error.to_string();
            assert!(text.contains("expected `score` [N]"), "{text}");
            assert!(outputs.iter().all(|(it, _)| text.contains(it)), "{text}");
        }
    }

    #[test]
    fn outputs_are_told_by_name_or_shape() {
        let named =
            |contribution, reconstruction| Some(OutputPlan::Named { contribution, reconstruction });
        let score = ("score", Some([2].as_slice()));
        let share = ("contribution", Some([2, 4].as_slice()));
        let values = ("reconstruction", Some([2, 4].as_slice()));
        check_outputs(&[score], &[2, 4], named(false, false));
        check_outputs(&[values, share, score], &[2, 4], named(true, true));
        check_outputs(&[values, score], &[2, 9, 4], named(false, true));
        check_outputs(&[("score", Some(&[2, 1]))], &[2, 4], named(false, false));
        check_outputs(&[values], &[2, 4], Some(OutputPlan::Reconstruction));
        check_outputs(&[("y", Some(&[2, 9, 4]))], &[2, 9, 4], Some(OutputPlan::Reconstruction));
        check_outputs(&[("y", Some(&[2]))], &[2, 4], Some(OutputPlan::Score));
        check_outputs(&[("y", Some(&[2, 1]))], &[2, 4], Some(OutputPlan::Score));
        for refused in [
            &[("y", Some([4].as_slice()))],
            &[("y", Some([2, 3].as_slice()))],
            &[("y", Some([2, 4, 1].as_slice()))],
            &[("y", Some([].as_slice()))],
            &[("y", None)],
            &[("score", None)],
            &[("score", Some([2, 4].as_slice()))],
        ] {
            check_outputs(refused, &[2, 4], None);
        }
        check_outputs(&[("label", None), ("y", Some(&[2]))], &[2, 4], None);
        check_outputs(&[score, ("contribution", Some(&[2, 3]))], &[2, 4], None);
        // A windowed reconstruction that only covers one step.
        check_outputs(&[("y", Some(&[2, 4]))], &[2, 9, 4], None);
    }
}

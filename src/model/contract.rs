//! The contract between a graph and the scorer: which inputs it may ask for, which outputs it may
//! give, and what they are taken for.
//!
//! | outputs | taken for |
//! |---|---|
//! | those that the configuration's or the file's `outputs` names | what it says; no other is read |
//! | `score`, or one named like an error (`mse`, `anomaly_score`), `[N]` or `[N, 1]`, perhaps `contribution [N, F]`, perhaps `reconstruction` | what their names say; others are not read |
//! | one named like a reconstruction, shaped like the input | the error is the mean squared difference; others are not read |
//! | one that is named like nothing, shaped like the input | a reconstruction |
//! | one that is named like nothing, `[N]` or `[N, 1]` | the error |
//!
//! What a name says is [`OutputRole::of`]. Where neither names nor shapes tell (one feature; two errors;
//! a name of decision functions, which fall for what is strange), the user is asked.
//!
//! Besides the features a graph may ask for `mask`, `level_mean` with `level_scale`, and `entity`, by
//! these names, in any order.
//!
//! In: declared inputs, and the shapes that a trial run gave (declared output shapes are often
//! missing or wrong). Out: a plan, or a refusal that names what was expected and what was found.

mod outputs;

use super::port::{Dim, Element, Port};
use super::role::OutputRole;

pub(super) use outputs::judge_outputs;

/// Why a graph cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// It asks for nothing.
    #[error("the graph has no input; expected float32 {expected}")]
    NoInput {
        /// What it should ask for.
        expected: String,
    },
    /// Its input for the features does not fit them.
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
        "input {found}: there is nothing to feed it with; besides the features only `mask` float32 \
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
         output [N]; where there are others, say which is which in the model's item of `models`, \
         such as `outputs: {{NAME: error}}`"
    )]
    Outputs {
        /// Names and shapes.
        found: String,
        /// The shape of the input in the trial.
        input: String,
        /// Features of the model.
        features: usize,
    },
    /// An output may be several things.
    #[error(
        "outputs {found}: {reason}; say what it is in the model's item of `models`: \
         `outputs: {{{name}: {guess}}}` ({ROLES})"
    )]
    Unsaid {
        /// Names and shapes.
        found: String,
        /// Why it is not clear.
        reason: String,
        /// The output.
        name: String,
        /// What it probably is.
        guess: OutputRole,
    },
    /// What is said of an output does not fit it.
    #[error("`outputs` says {name}: {role}, and the graph has {found}: expected {expected}")]
    Said {
        /// The output.
        name: String,
        /// What is said.
        role: OutputRole,
        /// Names and shapes.
        found: String,
        /// What would fit.
        expected: String,
    },
    /// What is said of the outputs gives no error.
    #[error("`outputs` names no error: one output is `error`, `normality` or `reconstruction`")]
    NoError,
    /// Two outputs are said to be the same.
    #[error("`outputs` says {role} of {first} and of {second}: there is one at most")]
    Twice {
        /// What is said.
        role: OutputRole,
        /// An output.
        first: String,
        /// Another.
        second: String,
    },
}

/// What roles mean, for those who have to choose one.
const ROLES: &str = "`error` is larger for anomalies, `normality` is below 0 for anomalies, \
     `reconstruction` is what the features should be";

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

/// What to read. The error comes of the reconstruction where there is no other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct OutputPlan {
    /// The output with the error, or with how normal a row is.
    pub error: Option<String>,
    /// Whether it falls for what is strange.
    pub falls: bool,
    /// Whether the user says what the outputs are.
    pub said: bool,
    /// The output with each feature's share.
    pub contribution: Option<String>,
    /// The output with what the features should be.
    pub reconstruction: Option<String>,
}

/// The name of the optional input that tells which values were there: 1, otherwise 0.
pub const MASK: &str = "mask";

/// The names of the optional inputs with the entity's own long-running level.
pub const LEVEL: [&str; 2] = ["level_mean", "level_scale"];

/// The name of the optional input with the entity's place among those that the model knows, from 1
/// on; 0 for one that it does not know.
pub const ENTITY: &str = "entity";

/// The input with the features: the first that has not the name of another.
pub(super) fn features_of(inputs: &[Port]) -> Option<&Port> {
    let others = [MASK, LEVEL[0], LEVEL[1], ENTITY];
    let named = inputs.iter().find(|it| !others.contains(&it.name.as_str()));
    named.or(inputs.first())
}

/// Judges the declared inputs.
pub(super) fn judge_inputs(
    inputs: &[Port],
    features: usize,
    window: usize,
) -> Result<InputPlan, ContractError> {
    let flat = format!("[N, {features}]");
    let windowed = format!("[N, {window}, {features}]");
    let expected = if window == 1 { format!("{flat} or {windowed}") } else { windowed };
    let Some(first) = features_of(inputs) else {
        return Err(ContractError::NoInput { expected });
    };
    let others: Vec<Port> = inputs.iter().filter(|it| it.name != first.name).cloned().collect();
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
        mask: has(&others, MASK),
        level: has(&others, LEVEL[0]),
        entity: has(&others, ENTITY),
    };
    judge_others(&others, first, features)?;
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

/// Rows for a trial, such that no output can be mistaken for another by the length of a dimension.
pub(super) fn trial_rows(features: usize, window: usize) -> usize {
    [5, 7].into_iter().find(|rows| *rows != features && *rows != window).unwrap_or(11)
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
        let backwards: Vec<Port> = all.iter().rev().cloned().collect();
        for inputs in [&all[..], &backwards] {
            let plan = judge_inputs(inputs, 4, 1).expect("everything is fed");
            assert!(plan.mask && plan.level && plan.entity && !plan.windowed);
            assert_eq!(plan.features, "x");
        }
        let mask = port("mask", Element::Other(9), Some(&[0, 4]));
        assert!(refusal(&[features, mask]).contains("mask bool [N, 4]"));
    }
}

//! What outputs are taken for: by what the user says, their names, and their shapes where only one
//! meaning is possible.
//!
//! In: names, and the shapes of a trial run. Out: a plan, or a refusal that asks.

use std::collections::BTreeMap;

use super::{ContractError, OutputPlan};
use crate::model::role::OutputRole;

/// Judges what a trial run with an input of shape `input` gave, by what is said of the outputs, their
/// names and their shapes. A shape is `None` where the output was no float32 tensor.
pub(in crate::model) fn judge_outputs(
    outputs: &[(&str, Option<Vec<usize>>)],
    input: &[usize],
    said: &BTreeMap<String, OutputRole>,
) -> Result<OutputPlan, ContractError> {
    let given = Given { outputs, input };
    if said.is_empty() { given.by_name() } else { given.by_word(said) }
}

/// What a trial gave.
struct Given<'a> {
    outputs: &'a [(&'a str, Option<Vec<usize>>)],
    input: &'a [usize],
}

impl Given<'_> {
    fn features(&self) -> usize {
        self.input[self.input.len() - 1]
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.outputs.iter().find(|(it, _)| *it == name).and_then(|(_, shape)| shape.as_deref())
    }

    /// Whether an output can be this by its shape.
    fn fits(&self, name: &str, role: OutputRole) -> bool {
        let (rows, Some(shape)) = (self.input[0], self.shape(name)) else { return false };
        match role {
            OutputRole::Error | OutputRole::Normality => *shape == [rows] || *shape == [rows, 1],
            OutputRole::Contribution => *shape == [rows, self.features()],
            OutputRole::Reconstruction => shape == self.input,
        }
    }

    fn named(&self, role: OutputRole) -> Vec<&str> {
        let names = self.outputs.iter().map(|(name, _)| *name);
        names.filter(|name| OutputRole::of(name) == Some(role)).collect()
    }

    fn by_name(&self) -> Result<OutputPlan, ContractError> {
        let plan = OutputPlan::default();
        // The name of the contract itself goes before what others call theirs.
        let errors = match self.named(OutputRole::Error) {
            names if names.contains(&"score") => vec!["score"],
            names => names,
        };
        let restored = self.named(OutputRole::Reconstruction);
        match (&errors[..], &restored[..]) {
            ([error], _) if self.fits(error, OutputRole::Error) => {
                let optional = |name: &str, allowed: bool| match self.shape(name) {
                    _ if !self.outputs.iter().any(|(it, _)| *it == name) => Ok(None),
                    Some(_) if allowed => Ok(Some(name.to_owned())),
                    _ => Err(self.nothing()),
                };
                let matrix = |name| self.fits(name, OutputRole::Contribution);
                let whole = self.fits("reconstruction", OutputRole::Reconstruction);
                Ok(OutputPlan {
                    error: Some((*error).to_owned()),
                    contribution: optional("contribution", matrix("contribution"))?,
                    reconstruction: optional("reconstruction", whole || matrix("reconstruction"))?,
                    ..plan
                })
            }
            ([first, second, ..], _) => {
                let reason = format!("`{first}` and `{second}` may both be the error");
                Err(self.unsaid(reason, first, OutputRole::Error))
            }
            ([], [name]) if self.fits(name, OutputRole::Reconstruction) => {
                Ok(OutputPlan { reconstruction: Some((*name).to_owned()), ..plan })
            }
            ([], [first, second, ..]) => {
                let reason = format!("`{first}` and `{second}` may both be the reconstruction");
                Err(self.unsaid(reason, first, OutputRole::Reconstruction))
            }
            ([], []) => self.by_shape(),
            _ => Err(self.nothing()),
        }
    }

    /// Where no name tells an error or a reconstruction.
    fn by_shape(&self) -> Result<OutputPlan, ContractError> {
        let plan = OutputPlan::default();
        if let [name, ..] = self.named(OutputRole::Normality)[..] {
            let reason =
                format!("`{name}` is a usual name of decision functions, which fall for anomalies");
            return Err(self.unsaid(reason, name, OutputRole::Normality));
        }
        let [(name, Some(_))] = self.outputs else { return Err(self.nothing()) };
        let roles = [OutputRole::Error, OutputRole::Reconstruction];
        match roles.map(|role| self.fits(name, role)) {
            [true, false] => Ok(OutputPlan { error: Some((*name).to_owned()), ..plan }),
            [false, true] => Ok(OutputPlan { reconstruction: Some((*name).to_owned()), ..plan }),
            [true, true] => {
                let reason = "of one feature, it may be an error or a reconstruction".to_owned();
                Err(self.unsaid(reason, name, OutputRole::Reconstruction))
            }
            [false, false] => Err(self.nothing()),
        }
    }

    /// As the user says.
    fn by_word(&self, said: &BTreeMap<String, OutputRole>) -> Result<OutputPlan, ContractError> {
        let mut plan = OutputPlan { said: true, ..OutputPlan::default() };
        for (name, role) in said {
            let restores = *role == OutputRole::Reconstruction;
            let newest = restores && self.fits(name, OutputRole::Contribution);
            if !(self.fits(name, *role) || newest) {
                return Err(self.said(name, *role));
            }
            plan.falls |= *role == OutputRole::Normality;
            let place = match role {
                OutputRole::Error | OutputRole::Normality => &mut plan.error,
                OutputRole::Reconstruction => &mut plan.reconstruction,
                OutputRole::Contribution => &mut plan.contribution,
            };
            if let Some(first) = place.replace(name.clone()) {
                return Err(ContractError::Twice { role: *role, first, second: name.clone() });
            }
        }
        match (&plan.error, &plan.reconstruction) {
            (None, None) => Err(ContractError::NoError),
            // The newest step alone says nothing of the others.
            (None, Some(name)) if !self.fits(name, OutputRole::Reconstruction) => {
                Err(self.said(name, OutputRole::Reconstruction))
            }
            // Shares follow from the reconstruction.
            (None, Some(_)) => Ok(OutputPlan { contribution: None, ..plan }),
            (Some(_), _) => Ok(plan),
        }
    }

    fn said(&self, name: &str, role: OutputRole) -> ContractError {
        let expected = match role {
            OutputRole::Error | OutputRole::Normality => "[N] or [N, 1]".to_owned(),
            OutputRole::Contribution => format!("[N, {}]", self.features()),
            OutputRole::Reconstruction => format!("the shape of the input, {:?}", self.input),
        };
        ContractError::Said { name: name.to_owned(), role, found: self.text(), expected }
    }

    fn unsaid(&self, reason: String, name: &str, guess: OutputRole) -> ContractError {
        ContractError::Unsaid { found: self.text(), reason, name: name.to_owned(), guess }
    }

    fn nothing(&self) -> ContractError {
        let (input, features) = (format!("{:?}", self.input), self.features());
        ContractError::Outputs { found: self.text(), input, features }
    }

    fn text(&self) -> String {
        let text = |(name, shape): &(&str, Option<Vec<usize>>)| match shape {
            Some(shape) => format!("{name} {shape:?}"),
            None => format!("{name} (not float32)"),
        };
        self.outputs.iter().map(text).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected`: the error, the share and the reconstruction, or a part of the refusal.
    #[track_caller]
    fn check_outputs(
        outputs: &[(&str, Option<&[usize]>)],
        input: &[usize],
        expected: Result<[Option<&str>; 3], &str>,
    ) {
        let outputs: Vec<_> =
            outputs.iter().map(|(name, shape)| (*name, shape.map(<[usize]>::to_vec))).collect();
        match (judge_outputs(&outputs, input, &BTreeMap::new()), expected) {
            (Ok(plan), Ok(expected)) => {
                let found = [plan.error, plan.contribution, plan.reconstruction];
                assert_eq!(found, expected.map(|it| it.map(str::to_owned)));
            }
            (Err(error), Err(part)) => {
                let text = error.to_string();
                assert!(text.contains(part), "{text}");
                assert!(outputs.iter().all(|(it, _)| text.contains(it)), "{text}");
            }
            (found, _) => panic!("{outputs:?} gave {found:?}"),
        }
    }

    #[test]
    fn outputs_are_told_by_name_or_shape() {
        let score = ("score", Some([5].as_slice()));
        let share = ("contribution", Some([5, 4].as_slice()));
        let values = ("reconstruction", Some([5, 4].as_slice()));
        let all = [Some("score"), Some("contribution"), Some("reconstruction")];
        check_outputs(&[score], &[5, 4], Ok([all[0], None, None]));
        check_outputs(&[values, share, score], &[5, 4], Ok(all));
        check_outputs(&[values, score], &[5, 9, 4], Ok([all[0], None, all[2]]));
        check_outputs(&[("score", Some(&[5, 1]))], &[5, 4], Ok([all[0], None, None]));
        check_outputs(&[("mse", Some(&[5, 1])), score], &[5, 4], Ok([all[0], None, None]));
        check_outputs(&[values], &[5, 4], Ok([None, None, all[2]]));
        check_outputs(&[("y", Some(&[5, 9, 4]))], &[5, 9, 4], Ok([None, None, Some("y")]));
        check_outputs(&[("y", Some(&[5]))], &[5, 4], Ok([Some("y"), None, None]));
        check_outputs(&[("y", Some(&[5, 1]))], &[5, 4], Ok([Some("y"), None, None]));
        let expected = "expected `score` [N]";
        for refused in [
            &[("y", Some([4].as_slice()))],
            &[("y", Some([5, 3].as_slice()))],
            &[("y", Some([5, 4, 1].as_slice()))],
            &[("y", Some([].as_slice()))],
            &[("y", None)],
            &[("score", None)],
            &[("score", Some([5, 4].as_slice()))],
            &[("mse", Some([5, 4].as_slice()))],
            &[("reconstruction", Some([5, 3].as_slice()))],
        ] {
            check_outputs(refused, &[5, 4], Err(expected));
        }
        check_outputs(&[("label", None), ("y", Some(&[5]))], &[5, 4], Err(expected));
        check_outputs(&[score, ("contribution", Some(&[5, 3]))], &[5, 4], Err(expected));
        // A windowed reconstruction that only covers one step.
        check_outputs(&[("y", Some(&[5, 4]))], &[5, 9, 4], Err(expected));
    }

    #[test]
    fn what_is_said_of_outputs_is_held_against_them() {
        let outputs = [("a", Some(vec![5, 1])), ("b", Some(vec![5, 4])), ("c", None)];
        let judge = |said: &[(&str, OutputRole)]| {
            let said = said.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect();
            judge_outputs(&outputs, &[5, 4], &said)
        };
        use OutputRole::{Contribution, Error, Normality, Reconstruction};
        let plan = judge(&[("a", Normality), ("b", Contribution)]).expect("it fits");
        assert!(plan.falls && plan.said && plan.contribution.as_deref() == Some("b"));
        let plan = judge(&[("b", Reconstruction)]).expect("it fits");
        assert!(!plan.falls && plan.error.is_none());
        for (said, expected) in [
            (&[("a", Reconstruction)][..], "the shape of the input, [5, 4]"),
            (&[("b", Error)], "expected [N] or [N, 1]"),
            (&[("d", Error)], "says d: error, and the graph has a [5, 1], b [5, 4], c (not"),
            (&[("b", Contribution)], "names no error"),
            (&[("a", Error), ("b", Contribution), ("c", Error)], "says c: error"),
        ] {
            let error = judge(said).expect_err("a refusal").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}

//! Reading a selector: its matchers, durations and modifiers, from the parser's types to ours.

use std::time::Duration;

use promql_parser::label::{MatchOp as ParsedOp, Matchers};
use promql_parser::parser::{AtModifier, Offset, VectorSelector};

use crate::labels::{Labels, METRIC_NAME};
use crate::matcher::{MatchOp, Matcher, Selector};

use super::error::Reason;
use super::parse::unsupported;
use super::when::When;

/// The longest range, offset or step: a century, far from where sums of them would overflow.
const MAX_DURATION_MS: u64 = 100 * 365 * 86_400_000;

/// The matchers of a selector; its name is one of them.
pub(super) fn selector(name: &Option<String>, matchers: &Matchers) -> Result<Selector, Reason> {
    if !matchers.or_matchers.is_empty() {
        return Err(unsupported("`or` between matchers"));
    }
    let mut list = Vec::with_capacity(matchers.matchers.len() + 1);
    if let Some(name) = name {
        list.push(Matcher::new(METRIC_NAME, MatchOp::Equal, name)?);
    }
    for matcher in &matchers.matchers {
        let op = match matcher.op {
            ParsedOp::Equal => MatchOp::Equal,
            ParsedOp::NotEqual => MatchOp::NotEqual,
            ParsedOp::Re(_) => MatchOp::Regex,
            ParsedOp::NotRe(_) => MatchOp::NotRegex,
        };
        list.push(Matcher::new(&matcher.name, op, &matcher.value)?);
    }
    if list.iter().all(|matcher| matcher.matches("")) {
        return Err(Reason::Argument(
            "vector selector must contain at least one non-empty matcher".to_owned(),
        ));
    }
    Ok(Selector::new(list))
}

/// The labels that a selector asks for with one `=`: those of `absent` over it.
pub(super) fn equal_labels(selector: &VectorSelector) -> Labels {
    let mut labels = Labels::empty();
    let mut asked: Vec<&str> = Vec::new();
    for matcher in &selector.matchers.matchers {
        if matcher.name == METRIC_NAME {
            continue;
        }
        let equal = matches!(matcher.op, ParsedOp::Equal) && !asked.contains(&&matcher.name[..]);
        if equal {
            asked.push(&matcher.name);
        }
        labels = labels.with(&matcher.name, if equal { &matcher.value } else { "" });
    }
    labels
}

/// The modifiers; `times` are what `start()` and `end()` mean, where `@` is allowed.
pub(super) fn when(
    offset: Option<&Offset>,
    at: Option<&AtModifier>,
    times: Option<(i64, i64)>,
) -> Result<When, Reason> {
    let at_ms = match (at, times) {
        (None, _) => None,
        (Some(_), None) => {
            return Err(Reason::Argument(
                "`@` fixes a time, which a feature, evaluated at every tick, would soon have \
                 forgotten"
                    .to_owned(),
            ));
        }
        (Some(AtModifier::Start), Some((start_ms, _))) => Some(start_ms),
        (Some(AtModifier::End), Some((_, end_ms))) => Some(end_ms),
        (Some(AtModifier::At(time)), _) => {
            Some(match time.duration_since(std::time::SystemTime::UNIX_EPOCH) {
                Ok(after) => milliseconds("@", after)?,
                Err(before) => -milliseconds("@", before.duration())?,
            })
        }
    };
    let offset_ms = match offset {
        None => 0,
        Some(Offset::Pos(duration)) => milliseconds("offset", *duration)?,
        Some(Offset::Neg(duration)) => -milliseconds("offset", *duration)?,
    };
    Ok(When { at_ms, offset_ms })
}

/// A duration that must not be zero, in milliseconds.
pub(super) fn positive_ms(what: &'static str, duration: Duration) -> Result<i64, Reason> {
    match milliseconds(what, duration)? {
        0 => Err(Reason::Argument(format!("{what} must be at least a millisecond"))),
        ms => Ok(ms),
    }
}

fn milliseconds(what: &'static str, duration: Duration) -> Result<i64, Reason> {
    let ms = duration.as_millis();
    if ms > u128::from(MAX_DURATION_MS) {
        return Err(Reason::Limit {
            what,
            is: u64::try_from(ms).unwrap_or(u64::MAX),
            limit: MAX_DURATION_MS,
        });
    }
    Ok(ms as i64)
}

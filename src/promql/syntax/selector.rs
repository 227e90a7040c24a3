//! A selector as it is written: a name, matchers in braces, a range, and the modifiers `offset`
//! and `@`.
//!
//! Source: Prometheus `promql/parser/generated_parser.y`, `createLabelsForAbsentFunction`.

use crate::labels::{Labels, METRIC_NAME};
use crate::matcher::{MatchOp, Matcher, Selector};

use super::cursor::Cursor;
use super::error::{Fault, Reason};
use super::infix::Infix;
use super::lexer::TokenKind;
use super::operand::{Operand, Value};
use super::tree::{Node, Source};
use super::when::When;

/// The step of a subquery without one: Prometheus's default evaluation interval.
const DEFAULT_STEP_MS: i64 = 60_000;

/// The most instants at which a subquery, with those around it, evaluates its vector: what
/// Prometheus allows for the points of one series.
const MAX_SUBQUERY_STEPS: u64 = 11_000;

/// The longest range, offset or step: a century, far from where sums of them would overflow.
const MAX_DURATION_S: f64 = 100.0 * 365.0 * 86_400.0;

/// The latest time of an `@`, either way: far from where a century more or less would overflow.
const MAX_TIME_MS: f64 = (1_i64 << 61) as f64;

/// Reads a name, matchers in braces, or both.
#[inline(never)]
pub(super) fn instant(cursor: &mut Cursor) -> Result<Operand, Fault> {
    let at = cursor.peek().at;
    let mut matchers = Vec::new();
    let name = (cursor.peek().kind == TokenKind::Word).then(|| cursor.bump().text);
    if cursor.take("{") {
        braces(cursor, &mut matchers)?;
    }
    if let Some(name) = name {
        if let Some(other) = matchers.iter().find(|matcher| matcher.name() == METRIC_NAME) {
            return Err(Fault::syntax(
                at,
                format!("metric name must not be set twice: {name:?} or {:?}", other.value()),
            ));
        }
        matchers.push(equal(METRIC_NAME, name));
    } else if matchers.iter().all(|matcher| matcher.matches("")) {
        let message = "vector selector must contain at least one non-empty matcher";
        return Err(Fault::syntax(at, message));
    }
    let absent = equal_labels(&matchers);
    let node = Node::Select { selector: Selector::new(matchers), when: When::default() };
    Ok(Operand { absent, ..Operand::new(at, node, 1) })
}

fn equal(name: &str, value: &str) -> Matcher {
    Matcher::new(name, MatchOp::Equal, value).expect("only patterns can be bad")
}

/// The matchers up to the closing brace.
fn braces(cursor: &mut Cursor, matchers: &mut Vec<Matcher>) -> Result<(), Fault> {
    const PLACE: &str = "label matching";
    loop {
        if cursor.take("}") {
            return Ok(());
        }
        let token = cursor.peek().clone();
        let (name, quoted) = match token.kind {
            TokenKind::Word => (token.text.to_owned(), false),
            TokenKind::Text(text) => (text, true),
            _ => return Err(cursor.unexpected(PLACE, "identifier or \"}\"")),
        };
        cursor.bump();
        let op = match cursor.peek().text {
            "=" => Some(MatchOp::Equal),
            "!=" => Some(MatchOp::NotEqual),
            "=~" => Some(MatchOp::Regex),
            "!~" => Some(MatchOp::NotRegex),
            _ => None,
        };
        match op.filter(|_| cursor.peek().kind == TokenKind::Mark) {
            None if quoted => matchers.push(equal(METRIC_NAME, &name)),
            None => return Err(cursor.unexpected(PLACE, "label matching operator")),
            Some(op) => {
                cursor.bump();
                let TokenKind::Text(value) = cursor.peek().kind.clone() else {
                    return Err(cursor.unexpected(PLACE, "string"));
                };
                cursor.bump();
                let matcher = Matcher::new(name, op, value);
                matchers.push(matcher.map_err(|e| Fault::syntax(token.at, e.to_string()))?);
            }
        }
        if !cursor.take(",") && !cursor.peek().is("}") {
            return Err(cursor.unexpected(PLACE, "\",\" or \"}\""));
        }
    }
}

/// The labels that a selector asks for with one `=`: those of `absent` over it.
fn equal_labels(matchers: &[Matcher]) -> Labels {
    let mut labels = Labels::empty();
    let mut asked: Vec<&str> = Vec::new();
    for matcher in matchers.iter().filter(|matcher| matcher.name() != METRIC_NAME) {
        let equal = matcher.op() == MatchOp::Equal && !asked.contains(&matcher.name());
        if equal {
            asked.push(matcher.name());
        }
        labels = labels.with(matcher.name(), if equal { matcher.value() } else { "" });
    }
    labels
}

/// Reads a range or a subquery, whose opening bracket at `at` was taken.
pub(super) fn range(cursor: &mut Cursor, operand: Operand, at: usize) -> Result<Operand, Fault> {
    let range_ms = length(cursor, "range", "number or duration")?;
    if cursor.take("]") {
        return series_range(operand, range_ms, at);
    }
    cursor.expect(":", "subquery or range", "\":\" or \"]\"")?;
    let mut step_ms = DEFAULT_STEP_MS;
    if !cursor.take("]") {
        step_ms = length(cursor, "step", "number or duration or \"]\"")?;
        cursor.expect("]", "subquery selector", "\"]\"")?;
    }
    subquery(operand, range_ms, step_ms, at)
}

fn series_range(operand: Operand, range_ms: i64, at: usize) -> Result<Operand, Fault> {
    let message = match operand.value {
        Value::Instant(Node::Select { selector, when }) if !operand.enclosed => {
            if when.offset_ms != 0 {
                "no offset modifiers allowed before range"
            } else if when.at_ms.is_some() {
                "no @ modifiers allowed before range"
            } else {
                let value = Value::Range(Source::Series { selector, range_ms, when });
                return Ok(Operand { value, ..operand });
            }
        }
        _ => "ranges only allowed for vector selectors",
    };
    Err(Fault::syntax(at, message))
}

fn subquery(operand: Operand, range_ms: i64, step_ms: i64, at: usize) -> Result<Operand, Fault> {
    let Operand { at: start, steps, .. } = operand;
    let got = match operand.type_name() {
        "range vector" => "matrix",
        other => other,
    };
    let inner = operand.vector("").map_err(|_| {
        let message = format!("subquery is only allowed on instant vector, got {got} instead");
        Fault::syntax(start, message)
    })?;
    let steps = steps.saturating_mul((range_ms as u64).div_ceil(step_ms as u64));
    if steps > MAX_SUBQUERY_STEPS {
        let what = "a subquery with a number of steps";
        return Err(Fault::limit(at, what, steps, MAX_SUBQUERY_STEPS));
    }
    let (inner, when) = (Box::new(inner), When::default());
    let source = Source::Subquery { inner, range_ms, step_ms, when };
    Ok(Operand::of(start, Value::Range(source), steps))
}

/// Reads a range or step up to what ends it, in milliseconds.
fn length(cursor: &mut Cursor, what: &'static str, expected: &str) -> Result<i64, Fault> {
    let at = cursor.peek().at;
    let seconds = signed(cursor, "subquery selector", expected)?;
    if Infix::of(cursor.peek()).is_some() {
        return Err(arithmetic(cursor.peek().at));
    }
    if seconds <= 0.0 {
        return Err(Fault::syntax(at, "duration must be greater than 0"));
    }
    match milliseconds(seconds, what, at)? {
        0 => Err(Fault::syntax(at, format!("{what} must be at least a millisecond"))),
        ms => Ok(ms),
    }
}

fn arithmetic(at: usize) -> Fault {
    Fault::unsupported(at, "arithmetic with durations, experimental in Prometheus,")
}

/// A number or duration with or without a sign, in seconds.
fn signed(cursor: &mut Cursor, place: &str, expected: &str) -> Result<f64, Fault> {
    let minus = cursor.peek().is("-");
    if minus || cursor.peek().is("+") {
        cursor.bump();
    }
    match cursor.peek().kind {
        TokenKind::Number(seconds) | TokenKind::Duration(seconds) => {
            cursor.bump();
            Ok(if minus { -seconds } else { seconds })
        }
        TokenKind::Mark if cursor.peek().is("(") => Err(arithmetic(cursor.peek().at)),
        _ => Err(cursor.unexpected(place, expected)),
    }
}

/// Whole milliseconds of a duration.
fn milliseconds(seconds: f64, what: &'static str, at: usize) -> Result<i64, Fault> {
    if seconds.is_nan() || seconds.abs() > MAX_DURATION_S {
        let limit = MAX_DURATION_S as u64 * 1_000;
        let is = (seconds.abs() * 1_000.0) as u64;
        return Err(Fault::limit(at, what, is, limit));
    }
    // By way of nanoseconds, as in Go.
    Ok((seconds * 1e9).round() as i64 / 1_000_000)
}

/// Reads what follows `offset`.
pub(super) fn offset(cursor: &mut Cursor, operand: &mut Operand) -> Result<(), Fault> {
    let at = cursor.peek().at;
    let seconds = signed(cursor, "offset", "number or duration")?;
    let offset_ms = milliseconds(seconds, "offset", at)?;
    let when = modified(operand, "offset modifier")?;
    if when.offset_ms != 0 {
        return Err(Fault::syntax(operand.at, "offset may not be set multiple times"));
    }
    when.offset_ms = offset_ms;
    Ok(())
}

/// Reads what follows the `@` that was taken at `at`.
pub(super) fn at(cursor: &mut Cursor, operand: &mut Operand, at: usize) -> Result<(), Fault> {
    let Some((start_ms, end_ms)) = cursor.times() else {
        let message = "`@` fixes a time, which a feature, evaluated at every tick, would soon have \
                       forgotten";
        return Err(Fault { at, reason: Reason::Unsupported(message.to_owned()) });
    };
    let (start, end) = (cursor.take_word("start"), cursor.take_word("end"));
    let at_ms = if start || end {
        cursor.expect("(", "@", "\"(\"")?;
        cursor.expect(")", "@", "\")\"")?;
        if start { start_ms } else { end_ms }
    } else {
        let time_ms = (signed(cursor, "@", "timestamp")? * 1_000.0).round();
        if time_ms.is_nan() || time_ms.abs() > MAX_TIME_MS {
            return Err(Fault::syntax(at, "timestamp out of bounds for @ modifier"));
        }
        time_ms as i64
    };
    let when = modified(operand, "@ modifier")?;
    if when.at_ms.is_some() {
        return Err(Fault::syntax(operand.at, "@ <timestamp> may not be set multiple times"));
    }
    when.at_ms = Some(at_ms);
    Ok(())
}

/// The modifiers of what can have some.
fn modified<'a>(operand: &'a mut Operand, what: &str) -> Result<&'a mut When, Fault> {
    match &mut operand.value {
        Value::Instant(Node::Select { when, .. })
        | Value::Range(Source::Series { when, .. } | Source::Subquery { when, .. })
            if !operand.enclosed =>
        {
            Ok(when)
        }
        _ => Err(Fault::syntax(
            operand.at,
            format!(
                "{what} must be preceded by an instant vector selector or range vector selector \
                 or a subquery"
            ),
        )),
    }
}

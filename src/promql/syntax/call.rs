//! A call: which node a function of PromQL becomes, by its name and arguments.
//!
//! Source: Prometheus `promql/parser/functions.go`.

use super::cursor::Cursor;
use super::error::Fault;
use super::function::{HistogramFunction, MapFunction, RangeFunction};
use super::lexer::Token;
use super::operand::{Operand, Value};
use super::relabel::{Pattern, Relabel};
use super::tree::{LOOKBACK_MS, Node, Number};

/// Functions that Prometheus 3.5 has behind a feature flag.
const EXPERIMENTAL: [&str; 8] = [
    "double_exponential_smoothing",
    "info",
    "mad_over_time",
    "sort_by_label",
    "sort_by_label_desc",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];

/// What a function takes.
pub(super) struct Signature {
    /// A letter an argument: `v`ector, `s`calar, `r`ange, `t`ext.
    types: &'static str,
    /// How many of them must be there.
    least: usize,
    /// The last one may be repeated.
    open: bool,
}

impl Signature {
    const fn of(types: &'static str) -> Self {
        Self { types, least: types.len(), open: false }
    }

    /// The last argument may be left out.
    const fn optional(types: &'static str) -> Self {
        Self { types, least: types.len() - 1, open: false }
    }

    fn find(name: &str) -> Option<Self> {
        let known = match name {
            "time" | "pi" => Self::of(""),
            "vector" => Self::of("s"),
            "scalar" | "timestamp" | "absent" | "sort" | "sort_desc" => Self::of("v"),
            "absent_over_time" => Self::of("r"),
            "histogram_quantile" => Self::of("sv"),
            "histogram_fraction" => Self::of("ssv"),
            "label_replace" => Self::of("vtttt"),
            "label_join" => Self { types: "vttt", least: 3, open: true },
            "clamp" => Self::of("vss"),
            "clamp_min" | "clamp_max" => Self::of("vs"),
            "round" => Self::optional("vs"),
            "quantile_over_time" => Self::of("sr"),
            "predict_linear" => Self::of("rs"),
            _ => {
                return match (RangeFunction::from_name(name), MapFunction::from_name(name)) {
                    (Some(_), _) => Some(Self::of("r")),
                    (_, Some(MapFunction::Calendar(_))) => Some(Self::optional("v")),
                    (_, Some(_)) => Some(Self::of("v")),
                    _ => None,
                };
            }
        };
        Some(known)
    }

    /// Refuses another number of arguments, or other types.
    fn check(&self, name: &str, at: usize, arguments: &[Operand]) -> Result<(), Fault> {
        let got = arguments.len();
        let most = if self.open { usize::MAX } else { self.types.len() };
        let exactly = self.least == self.types.len();
        if got < self.least || got > most {
            let (bound, expected) = match got < self.least {
                _ if exactly => ("", self.least),
                true => ("at least ", self.least),
                false => ("at most ", most),
            };
            return Err(Fault::syntax(
                at,
                format!("expected {bound}{expected} argument(s) in call to {name:?}, got {got}"),
            ));
        }
        let last = self.types.chars().last();
        for (argument, letter) in
            arguments.iter().zip(self.types.chars().chain(last.into_iter().cycle()))
        {
            let wanted = match letter {
                'v' => "instant vector",
                's' => "scalar",
                'r' => "range vector",
                _ => "string",
            };
            if argument.type_name() != wanted {
                return Err(argument.wrong_type(wanted, &format!("call to function {name:?}")));
            }
        }
        Ok(())
    }
}

/// What the function with this token as its name takes.
#[inline(never)]
pub(super) fn signature(token: &Token) -> Result<Signature, Fault> {
    let (name, at) = (token.text, token.at);
    let Some(signature) = Signature::find(name) else {
        return Err(if EXPERIMENTAL.contains(&name) {
            Fault::unsupported(at, format!("{name}(), experimental in Prometheus,"))
        } else {
            Fault::syntax(at, format!("unknown function with name {name:?}"))
        });
    };
    Ok(signature)
}

/// The call of the function with this token as its name.
#[inline(never)]
pub(super) fn call(
    cursor: &mut Cursor,
    token: &Token,
    signature: &Signature,
    arguments: Vec<Operand>,
) -> Result<Operand, Fault> {
    let (name, at) = (token.text, token.at);
    signature.check(name, at, &arguments)?;
    let steps = arguments.iter().map(|argument| argument.steps).max().unwrap_or(1);
    // As in Prometheus, where parentheses stay around a vector or number that is evaluated once for all
    // instants.
    let place = |operand: &Operand| {
        let is_fixed = match &operand.value {
            Value::Instant(node) => node.is_fixed(),
            Value::Range(_) | Value::Text(_) => false,
        };
        if is_fixed { operand.at } else { operand.bare_at }
    };
    let places = match &arguments[..] {
        [first, .., last] => [place(first), place(last)],
        [only] => [place(only); 2],
        [] => [at; 2],
    };
    let is_query = cursor.times().is_some();
    let mut arguments = Arguments { name, list: arguments.into_iter(), is_query, failed: None };
    let node = node(name, &mut arguments)?;
    if let Some(reason) = arguments.failed {
        cursor.fail(reason);
    }
    cursor.annotate(&node, "", places);
    Ok(Operand::new(at, node, steps))
}

/// The arguments of a call, which have the types that the function wants.
struct Arguments<'a> {
    name: &'a str,
    list: std::vec::IntoIter<Operand>,
    is_query: bool,
    /// A query that cannot be evaluated with a text among them: Prometheus finds that out when it
    /// evaluates it, so that it is an error of another kind.
    failed: Option<String>,
}

impl Arguments<'_> {
    fn next(&mut self) -> Operand {
        self.list.next().expect("the signature was checked")
    }

    /// A vector or scalar.
    fn node(&mut self) -> Result<Node, Fault> {
        let operand = self.next();
        match operand.value {
            Value::Instant(node) => Ok(node),
            _ => Err(operand.wrong_type("instant vector", self.name)),
        }
    }

    fn boxed(&mut self) -> Result<Box<Node>, Fault> {
        self.node().map(Box::new)
    }

    fn text(&mut self) -> Result<String, Fault> {
        self.next().text(self.name)
    }

    /// A label name: any text that is not empty, as Prometheus 3 allows. `role` is `source` or `destination`.
    fn label(&mut self, role: &str) -> Result<String, Fault> {
        let operand = self.next();
        let at = operand.at;
        let name = operand.text(self.name)?;
        if name.is_empty() {
            let of = self.name;
            let said = format!("invalid {role} label name in {of}(): ");
            self.cannot_be_evaluated(said, || {
                Fault::syntax(at, format!("invalid label name \"\" in {of}()"))
            })?;
        }
        Ok(name)
    }

    /// A text is wrong: of a feature a fault, of a query an error of its evaluation.
    fn cannot_be_evaluated(
        &mut self,
        said: String,
        fault: impl FnOnce() -> Fault,
    ) -> Result<(), Fault> {
        if !self.is_query {
            return Err(fault());
        }
        self.failed = Some(said);
        Ok(())
    }
}

fn node(name: &str, arguments: &mut Arguments) -> Result<Node, Fault> {
    if let Some(function) = RangeFunction::from_name(name) {
        return range(function, arguments);
    }
    if let Some(function) = MapFunction::from_name(name) {
        return map(function, arguments);
    }
    Ok(match name {
        "time" => Node::Time,
        "pi" => Node::Number(Number(std::f64::consts::PI)),
        "vector" => Node::Vector(arguments.boxed()?),
        "scalar" => Node::Scalar(arguments.boxed()?),
        "sort" => Node::Sort { descending: false, vector: arguments.boxed()? },
        "sort_desc" => Node::Sort { descending: true, vector: arguments.boxed()? },
        "timestamp" => timestamp(arguments.node()?),
        "absent" => {
            let operand = arguments.next();
            let labels = operand.absent.clone();
            Node::Absent { vector: Box::new(operand.vector(name)?), labels }
        }
        "absent_over_time" => {
            let operand = arguments.next();
            match operand.value {
                Value::Range(source) => Node::AbsentOverTime { source, labels: operand.absent },
                _ => return Err(operand.wrong_type("range vector", name)),
            }
        }
        "histogram_quantile" => Node::Histogram {
            function: HistogramFunction::Quantile,
            parameters: vec![arguments.node()?],
            vector: arguments.boxed()?,
        },
        "histogram_fraction" => Node::Histogram {
            function: HistogramFunction::Fraction,
            parameters: vec![arguments.node()?, arguments.node()?],
            vector: arguments.boxed()?,
        },
        "label_replace" => {
            let vector = arguments.boxed()?;
            Node::Relabel { relabel: label_replace(arguments)?, vector }
        }
        _ => {
            let vector = arguments.boxed()?;
            let (target, separator) = (arguments.label("destination")?, arguments.text()?);
            let mut sources = Vec::new();
            while !arguments.list.as_slice().is_empty() {
                sources.push(arguments.label("source")?);
            }
            Node::Relabel { relabel: Relabel::Join { target, separator, sources }, vector }
        }
    })
}

fn range(function: RangeFunction, arguments: &mut Arguments) -> Result<Node, Fault> {
    let mut parameter = None;
    if function == RangeFunction::QuantileOverTime {
        parameter = Some(arguments.boxed()?);
    }
    let operand = arguments.next();
    let Value::Range(source) = operand.value else {
        return Err(operand.wrong_type("range vector", arguments.name));
    };
    if function == RangeFunction::PredictLinear {
        parameter = Some(arguments.boxed()?);
    }
    Ok(Node::Range { function, source, parameter })
}

fn map(function: MapFunction, arguments: &mut Arguments) -> Result<Node, Fault> {
    // Calendar functions without an argument take the time.
    let vector = match arguments.list.as_slice() {
        [] => Box::new(Node::Vector(Box::new(Node::Time))),
        _ => arguments.boxed()?,
    };
    let mut parameters = Vec::new();
    while !arguments.list.as_slice().is_empty() {
        parameters.push(arguments.node()?);
    }
    Ok(Node::Map { function, vector, parameters })
}

fn timestamp(argument: Node) -> Node {
    match argument {
        Node::Select { selector, mut when } => {
            let mut lookback_ms = LOOKBACK_MS;
            if let Some(at_ms) = &mut when.at_ms {
                // As Prometheus has it: `timestamp(x @ t offset 1m)` looks at `t`, but among the
                // samples that were fetched for a minute earlier.
                let offset_ms = std::mem::take(&mut when.offset_ms);
                *at_ms = at_ms.saturating_sub(offset_ms.max(0));
                lookback_ms = lookback_ms.saturating_sub(offset_ms.saturating_abs()).max(0);
            }
            Node::SampleTime { selector, when, lookback_ms }
        }
        vector => Node::Map {
            function: MapFunction::EvalTime,
            vector: Box::new(vector),
            parameters: vec![],
        },
    }
}

fn label_replace(arguments: &mut Arguments) -> Result<Relabel, Fault> {
    let (target, replacement) = (arguments.label("destination")?, arguments.text()?);
    let source = arguments.text()?;
    let operand = arguments.next();
    let at = operand.at;
    let text = operand.text(arguments.name)?;
    let pattern = Pattern::new(&text).or_else(|reason| {
        let said = format!("invalid regular expression in label_replace(): {text}");
        let message = format!("{said}: {reason}");
        arguments.cannot_be_evaluated(said, || Fault::syntax(at, message))?;
        Ok(Pattern::default())
    })?;
    Ok(Relabel::Replace { target, replacement, source, pattern })
}

//! A call: which node a function of PromQL becomes, by its name and arguments.

use promql_parser::parser::{Call, Expr as Ast};

use crate::labels::Labels;

use super::error::Reason;
use super::expr::{Node, Number};
use super::map::MapFunction;
use super::parse::{Reader, strip, unsupported};
use super::range::RangeFunction;
use super::relabel::{Pattern, Relabel};
use super::selector::{equal_labels, selector};

/// Reads a call.
pub(super) fn node(reader: Reader, call: &Call) -> Result<Node, Reason> {
    let name = call.func.name;
    let args = Args { name, list: call.args.args.iter().map(|arg| &**arg).collect() };
    if let Some(function) = RangeFunction::from_name(name) {
        return range(reader, function, &args);
    }
    if let Some(function) = MapFunction::from_name(name) {
        return map(reader, function, &args);
    }
    match name {
        "time" => Ok(Node::Time),
        "pi" => Ok(Node::Number(Number(std::f64::consts::PI))),
        "vector" => Ok(Node::Vector(Box::new(reader.scalar(args.at(0)?)?))),
        "scalar" => Ok(Node::Scalar(Box::new(reader.vector(args.at(0)?)?))),
        "sort" | "sort_desc" => Ok(Node::Sort {
            descending: name == "sort_desc",
            vector: Box::new(reader.vector(args.at(0)?)?),
        }),
        "timestamp" => timestamp(reader, args.at(0)?),
        "absent" => {
            let argument = strip(args.at(0)?);
            let labels = match argument {
                Ast::VectorSelector(vector) => equal_labels(vector),
                _ => Labels::empty(),
            };
            let vector = Box::new(reader.vector(argument)?);
            Ok(Node::Absent { vector, labels })
        }
        "absent_over_time" => {
            let (source, labels) = reader.source(args.at(0)?)?;
            Ok(Node::AbsentOverTime { source, labels })
        }
        "histogram_quantile" => Ok(Node::HistogramQuantile {
            quantile: Box::new(reader.scalar(args.at(0)?)?),
            vector: Box::new(reader.vector(args.at(1)?)?),
        }),
        "label_replace" => Ok(Node::Relabel {
            vector: Box::new(reader.vector(args.at(0)?)?),
            relabel: label_replace(&args)?,
        }),
        "label_join" => Ok(Node::Relabel {
            vector: Box::new(reader.vector(args.at(0)?)?),
            relabel: label_join(&args)?,
        }),
        _ => Err(unsupported(format!("the function `{name}`"))),
    }
}

/// The arguments of a call. The parser has counted them; asking is still checked.
struct Args<'a> {
    name: &'a str,
    list: Vec<&'a Ast>,
}

impl<'a> Args<'a> {
    fn at(&self, i: usize) -> Result<&'a Ast, Reason> {
        self.list.get(i).copied().ok_or_else(|| {
            Reason::Argument(format!("{} needs at least {} arguments", self.name, i + 1))
        })
    }

    fn text(&self, i: usize) -> Result<String, Reason> {
        match strip(self.at(i)?) {
            Ast::StringLiteral(text) => Ok(text.val.clone()),
            other => Err(Reason::Argument(format!(
                "{other} in a call of {} must be a string",
                self.name
            ))),
        }
    }

    /// A label name: any text that is not empty, as Prometheus 3 allows.
    fn label(&self, i: usize) -> Result<String, Reason> {
        match self.text(i)? {
            name if name.is_empty() => {
                Err(Reason::Argument(format!("a label name in a call of {} is empty", self.name)))
            }
            name => Ok(name),
        }
    }
}

fn range(reader: Reader, function: RangeFunction, args: &Args) -> Result<Node, Reason> {
    let (range, parameter) = match function {
        RangeFunction::QuantileOverTime => (1, Some(0)),
        RangeFunction::PredictLinear => (0, Some(1)),
        _ => (0, None),
    };
    let parameter = match parameter {
        Some(i) => Some(Box::new(reader.scalar(args.at(i)?)?)),
        None => None,
    };
    let (source, _) = reader.source(args.at(range)?)?;
    Ok(Node::Range { function, source, parameter })
}

fn map(reader: Reader, function: MapFunction, args: &Args) -> Result<Node, Reason> {
    let vector = match (function, args.list.first()) {
        // Calendar functions without an argument take the time.
        (MapFunction::Calendar(_), None) => Node::Vector(Box::new(Node::Time)),
        _ => reader.vector(args.at(0)?)?,
    };
    let expected = match function {
        MapFunction::Clamp => 2,
        MapFunction::ClampMin | MapFunction::ClampMax => 1,
        // What to round to may be left out.
        MapFunction::Round => args.list.len() - 1,
        _ => 0,
    };
    let parameters =
        (1..=expected).map(|i| reader.scalar(args.at(i)?)).collect::<Result<_, _>>()?;
    Ok(Node::Map { function, vector: Box::new(vector), parameters })
}

fn timestamp(reader: Reader, argument: &Ast) -> Result<Node, Reason> {
    if let Ast::VectorSelector(vector) = strip(argument) {
        let mut when = reader.when(vector.offset.as_ref(), vector.at.as_ref())?;
        if when.at_ms.is_some() {
            // As Prometheus has it: `timestamp(x @ t offset 1m)` is the one of `x @ t`.
            when.offset_ms = 0;
        }
        let selector = selector(&vector.name, &vector.matchers)?;
        return Ok(Node::SampleTime { selector, when });
    }
    Ok(Node::Map {
        function: MapFunction::EvalTime,
        vector: Box::new(reader.vector(argument)?),
        parameters: vec![],
    })
}

fn label_replace(args: &Args) -> Result<Relabel, Reason> {
    let pattern = args.text(4)?;
    Ok(Relabel::Replace {
        target: args.label(1)?,
        replacement: args.text(2)?,
        source: args.text(3)?,
        pattern: Pattern::new(&pattern).map_err(|_| {
            Reason::Argument(format!("invalid regular expression in label_replace(): {pattern}"))
        })?,
    })
}

fn label_join(args: &Args) -> Result<Relabel, Reason> {
    Ok(Relabel::Join {
        target: args.label(1)?,
        separator: args.text(2)?,
        sources: (3..args.list.len()).map(|i| args.label(i)).collect::<Result<_, _>>()?,
    })
}

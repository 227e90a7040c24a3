//! The text of a tree: an expression written back, for a server that fails where a plan bound
//! leniently goes on.
//!
//! In: a checked tree. Out: PromQL in which every operator between two vectors is given only those
//! match groups that it allows, so that the strict answer to it is the lenient one to the
//! expression. Where the groups of an operand can do no harm, by what is known of its labels,
//! nothing is added.
//!
//! Not written back are `@`, functions of native histograms, what is nested too deeply, and
//! selectors with characters that need other escapes or names that need quotes. It is read back to
//! make sure. Label sets that become equal by losing a label or their names, or by what
//! `group_left` takes over, are refused as before.
//! Source: Prometheus `promql/parser/printer.go`.

use crate::labels::METRIC_NAME;
use crate::matcher::Selector;

use super::clause::{Cardinality, Grouping, Matching};
use super::expr::Expr;
use super::function::{HistogramFunction, MapFunction, RangeFunction};
use super::grouping;
use super::infix::{Infix, Op};
use super::operator::SetOp;
use super::parser::{self, MAX_TEXT_BYTES};
use super::relabel::Relabel;
use super::tree::{Binary, Node, Source, ValueType};
use super::when::When;

/// Levels of a tree that are written, at most. With the parentheses around operands no more could
/// be read back.
const MAX_DEPTH: usize = 160;

impl Expr {
    /// The text to ask a strict server by, for the answer that [`crate::promql::Plan::bind_lenient`] gives:
    /// without the match groups that clash. `None` where no operator can meet such groups, and
    /// where the expression cannot be written back or would be too long.
    #[must_use]
    pub fn lenient_text(&self) -> Option<String> {
        let mut writer = Writer { lenient: true, ..Writer::default() };
        let text = writer.node(self.root()).filter(|_| writer.guards > 0)?;
        parser::feature(&text).ok()?;
        let same = parser::feature(&self.text_of_tree()?).ok()? == *self.root();
        same.then_some(text)
    }

    /// The text of the tree with nothing added.
    pub(in crate::promql) fn text_of_tree(&self) -> Option<String> {
        Writer::default().node(self.root())
    }
}

/// The state of writing one text.
#[derive(Debug, Default)]
struct Writer {
    /// Leaves out groups that clash.
    lenient: bool,
    /// At how many operands that was written.
    guards: usize,
    depth: usize,
}

impl Writer {
    fn node(&mut self, node: &Node) -> Option<String> {
        if self.depth == MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let text = self.any(node);
        self.depth -= 1;
        // Operands that are written twice double with every level.
        text.filter(|text| text.len() <= MAX_TEXT_BYTES)
    }

    fn any(&mut self, node: &Node) -> Option<String> {
        match node {
            Node::Number(number) => Some(number_text(number.0)),
            Node::Time => Some("time()".to_owned()),
            Node::Select { selector, when } => Some(format!("{selector}{}", offset(*when)?)),
            Node::SampleTime { selector, when, .. } => {
                Some(format!("timestamp({selector}{})", offset(*when)?))
            }
            Node::Range { function, source, parameter } => {
                self.range(*function, source, parameter.as_deref())
            }
            Node::AbsentOverTime { source, .. } => {
                Some(format!("absent_over_time({})", self.source(source)?))
            }
            Node::Map { function: MapFunction::Negate, vector, .. } => {
                Some(format!("-({})", self.node(vector)?))
            }
            Node::Map { function, vector, parameters } => {
                self.call(function.name()?, std::iter::once(&**vector).chain(parameters))
            }
            Node::Relabel { relabel, vector } => self.relabel(relabel, vector),
            Node::Vector(scalar) => self.call("vector", [&**scalar]),
            Node::Scalar(vector) => self.call("scalar", [&**vector]),
            Node::Absent { vector, .. } => self.call("absent", [&**vector]),
            Node::Histogram { function, parameters, vector } => {
                let name = match function {
                    HistogramFunction::Quantile => "histogram_quantile",
                    HistogramFunction::Fraction => "histogram_fraction",
                };
                self.call(name, parameters.iter().chain([&**vector]))
            }
            Node::Sort { descending, vector } => {
                self.call(if *descending { "sort_desc" } else { "sort" }, [&**vector])
            }
            Node::Aggregate { grouping, .. }
            | Node::Top { grouping, .. }
            | Node::CountValues { grouping, .. } => self.aggregation(node, grouping),
            Node::Binary(binary) => self.binary(binary),
            Node::Set { op, matching, left, right } => {
                let name = Infix::name_of(Op::Set(*op));
                let (left, right) = (self.node(left)?, self.node(right)?);
                Some(format!("({left}) {name}{} ({right})", matching_text(matching)))
            }
        }
    }

    fn call<'a>(
        &mut self,
        name: &str,
        arguments: impl IntoIterator<Item = &'a Node>,
    ) -> Option<String> {
        Some(format!("{name}({})", self.list(arguments)?))
    }

    fn list<'a>(&mut self, nodes: impl IntoIterator<Item = &'a Node>) -> Option<String> {
        let texts: Option<Vec<String>> = nodes.into_iter().map(|node| self.node(node)).collect();
        Some(texts?.join(", "))
    }

    fn range(
        &mut self,
        function: RangeFunction,
        source: &Source,
        parameter: Option<&Node>,
    ) -> Option<String> {
        let (name, source) = (function.name(), self.source(source)?);
        Some(match parameter {
            None => format!("{name}({source})"),
            Some(node) if function == RangeFunction::QuantileOverTime => {
                format!("{name}({}, {source})", self.node(node)?)
            }
            Some(node) => format!("{name}({source}, {})", self.node(node)?),
        })
    }

    fn source(&mut self, source: &Source) -> Option<String> {
        Some(match source {
            Source::Series { selector, range_ms, when } => {
                format!("{selector}[{range_ms}ms]{}", offset(*when)?)
            }
            Source::Subquery { inner, range_ms, step_ms, when } => {
                format!("({})[{range_ms}ms:{step_ms}ms]{}", self.node(inner)?, offset(*when)?)
            }
        })
    }

    fn relabel(&mut self, relabel: &Relabel, vector: &Node) -> Option<String> {
        let vector = self.node(vector)?;
        Some(match relabel {
            Relabel::Replace { target, replacement, source, pattern } => {
                let pattern = pattern.text();
                format!(
                    "label_replace({vector}, {target:?}, {replacement:?}, {source:?}, {pattern:?})"
                )
            }
            Relabel::Join { target, separator, sources } => {
                let sources: String = sources.iter().map(|it| format!(", {it:?}")).collect();
                format!("label_join({vector}, {target:?}, {separator:?}{sources})")
            }
        })
    }

    fn aggregation(&mut self, node: &Node, grouping: &Grouping) -> Option<String> {
        let name = grouping::aggregation_name(node)?;
        let clause = if grouping.without { "without" } else { "by" };
        let labels = label_list(&grouping.labels);
        let arguments = match node {
            Node::CountValues { label, vector, .. } => format!("{label:?}, {}", self.node(vector)?),
            _ => self.list(node.children())?,
        };
        Some(format!("{name} {clause} ({labels}) ({arguments})"))
    }

    fn binary(&mut self, binary: &Binary) -> Option<String> {
        let (mut left, mut right) = (self.node(&binary.left)?, self.node(&binary.right)?);
        if self.lenient
            && is_scalar(&binary.left) == is_scalar(&binary.right)
            && !is_scalar(&binary.left)
        {
            self.guard(binary, &mut left, &mut right);
        }
        let Binary { op, return_bool, matching, .. } = binary;
        let (name, return_bool) =
            (Infix::name_of(Op::Binary(*op)), if *return_bool { " bool" } else { "" });
        Some(format!("({left}) {name}{return_bool}{} ({right})", matching_text(matching)))
    }

    /// Leaves out of the operands the groups that have more than one element where the operator
    /// allows one.
    fn guard(&mut self, binary: &Binary, left: &mut String, right: &mut String) {
        let Binary { op, return_bool, matching, .. } = binary;
        let swaps = matches!(matching.cardinality, Cardinality::OneToMany(_));
        if !swaps && !is_apart(&binary.right, matching) {
            *right = self.unique(right, right, matching);
        }
        if matches!(matching.cardinality, Cardinality::ManyToOne(_))
            || is_apart(&binary.left, matching)
        {
            return;
        }
        *left = if !swaps && op.is_comparison() && !return_bool {
            // What fails the comparison does not count.
            let many = Matching { cardinality: Cardinality::ManyToOne(vec![]), ..matching.clone() };
            let name = Infix::name_of(Op::Binary(*op));
            let held = format!("({left}) {name}{} ({right})", matching_text(&many));
            self.unique(left, &held, matching)
        } else {
            self.unique(left, left, matching)
        };
    }

    /// The elements of a vector whose groups have one element of another.
    fn unique(&mut self, vector: &str, counted: &str, matching: &Matching) -> String {
        self.guards += 1;
        let labels = label_list(&matching.labels);
        let (on, by) = if matching.on { ("on", "by") } else { ("ignoring", "without") };
        format!("({vector}) and {on} ({labels}) (count {by} ({labels}) ({counted}) == 1)")
    }
}

fn is_scalar(node: &Node) -> bool {
    node.value_type() == ValueType::Scalar
}

/// Whether no match group can have two elements.
fn is_apart(node: &Node, matching: &Matching) -> bool {
    let listed = |label: &String| matching.labels.contains(label);
    if let Node::Binary(Binary { matching: inner, left, right, .. }) = node
        && (inner.on, &inner.labels) == (matching.on, &matching.labels)
        && inner.cardinality == Cardinality::OneToOne
        && !is_scalar(left)
        && !is_scalar(right)
    {
        // It has one element a group itself.
        return true;
    }
    match node.output_labels() {
        // A label set is there once, so that groups by all of its labels have one element.
        Some(labels) if matching.on => labels.iter().all(listed),
        Some(labels) => !labels.iter().any(|label| listed(label) || label == METRIC_NAME),
        None => !matching.on && matching.labels.is_empty() && differs_without_name(node),
    }
}

/// Whether label sets are known to differ in more than the metric name.
fn differs_without_name(node: &Node) -> bool {
    let names_one = |selector: &Selector| selector.metric_name().is_some();
    match node {
        Node::Select { selector, .. } => names_one(selector),
        Node::Range { function: RangeFunction::LastOverTime, source, .. } => match source {
            Source::Series { selector, .. } => names_one(selector),
            Source::Subquery { inner, .. } => differs_without_name(inner),
        },
        // The name is dropped.
        Node::Range { .. } | Node::SampleTime { .. } | Node::Map { .. } => true,
        Node::Aggregate { grouping, .. } => grouping.without,
        Node::Sort { vector, .. } | Node::Top { vector, .. } => differs_without_name(vector),
        Node::Set { op: SetOp::And | SetOp::Unless, left, .. } => differs_without_name(left),
        Node::Binary(Binary { op, return_bool, matching, left, right }) => {
            match op.is_comparison() && !return_bool {
                false => matching.included().iter().all(|label| label != METRIC_NAME),
                true if is_scalar(right) => differs_without_name(left),
                true => is_scalar(left) && differs_without_name(right),
            }
        }
        _ => false,
    }
}

fn matching_text(matching: &Matching) -> String {
    let Matching { on, labels, cardinality } = matching;
    if *matching == Matching::default() {
        return String::new();
    }
    let group = match cardinality {
        Cardinality::OneToOne => String::new(),
        // Without parentheses those around the operand would be taken for them.
        Cardinality::ManyToOne(included) => format!(" group_left ({})", label_list(included)),
        Cardinality::OneToMany(included) => format!(" group_right ({})", label_list(included)),
    };
    format!(" {} ({}){group}", if *on { "on" } else { "ignoring" }, label_list(labels))
}

/// Names with commas between them; those that are no words in quotes, which not all servers know.
fn label_list(labels: &[String]) -> String {
    let is_word = |label: &str| {
        !label.starts_with(|c: char| c.is_ascii_digit())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let names = labels.iter().map(|label| match is_word(label) {
        true => label.clone(),
        false => format!("{label:?}"),
    });
    names.collect::<Vec<_>>().join(", ")
}

/// # NaN
/// With its sign, as a text can say `-NaN`.
fn number_text(number: f64) -> String {
    let sign = if number.is_sign_negative() { "-" } else { "" };
    match number.abs() {
        positive if positive.is_nan() => format!("{sign}NaN"),
        positive if positive.is_infinite() => format!("{sign}Inf"),
        positive => format!("{sign}{positive:?}"),
    }
}

/// None of what `@` fixes: a feature cannot say that.
fn offset(when: When) -> Option<String> {
    match when {
        When { at_ms: Some(_), .. } => None,
        When { offset_ms: 0, .. } => Some(String::new()),
        When { offset_ms, .. } => Some(format!(" offset {offset_ms}ms")),
    }
}

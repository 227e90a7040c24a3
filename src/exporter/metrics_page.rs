//! The metrics page in the text format: families of samples, written one after the other.

use std::fmt::Write;

use crate::detect::ModelSnapshot;
use crate::labels::Labels;

/// A page that grows.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    /// Families and where they begin.
    families: Vec<(&'static str, usize)>,
}

/// What the names begin with of what is said of entities and models; the rest is about Portent itself.
const OF_SCORES: &str = "anomaly_";

impl Page {
    /// Begins a family of gauges.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        // Writing to a string cannot fail.
        self.families.push((name, self.text.len()));
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge");
        Family { name, text: &mut self.text }
    }

    /// Its families in the order of their names: those of scores, and those about Portent itself.
    pub(super) fn finish(self) -> (String, String) {
        let ends = self.families.iter().skip(1).map(|(_, start)| *start);
        let mut families: Vec<(&str, &str)> = (self.families.iter())
            .zip(ends.chain([self.text.len()]))
            .map(|((name, start), end)| (*name, &self.text[*start..end]))
            .collect();
        families.sort_unstable_by_key(|(name, _)| *name);
        let (scores, own): (Vec<_>, Vec<_>) =
            families.into_iter().partition(|(name, _)| name.starts_with(OF_SCORES));
        let text = |families: Vec<(&str, &str)>| -> String {
            let mut all = String::with_capacity(families.iter().map(|(_, text)| text.len()).sum());
            all.extend(families.into_iter().map(|(_, text)| text));
            all
        };
        (text(scores), text(own))
    }

    /// All of it.
    #[cfg(test)]
    pub(super) fn whole(self) -> String {
        let (scores, own) = self.finish();
        scores + &own
    }
}

/// One sample for each model that has such a value.
pub(super) fn model_gauge(
    page: &mut Page,
    models: &[&ModelSnapshot],
    name: &'static str,
    help: &str,
    value: impl Fn(&ModelSnapshot) -> Option<f64>,
) {
    let mut family = page.gauge(name, help);
    for model in models {
        if let Some(value) = value(model) {
            family.sample(&Labels::empty(), &[("model", &model.model)], value);
        }
    }
}

/// The family that is being written.
#[derive(Debug)]
pub(super) struct Family<'a> {
    name: &'static str,
    text: &'a mut String,
}

impl Family<'_> {
    /// One sample. `own` are the labels that this family defines; a label of `entity` with such a
    /// name is written under another, see [`Labels::beside`].
    pub(super) fn sample(&mut self, entity: &Labels, own: &[(&str, &str)], value: f64) {
        self.text.push_str(self.name);
        let mut separator = '{';
        for (name, value) in entity.beside(own) {
            self.label(&mut separator, &name, value);
        }
        for (name, value) in own {
            self.label(&mut separator, name, value);
        }
        if separator == ',' {
            self.text.push('}');
        }
        // Rust writes numbers as Prometheus reads them, but for the sign of infinity.
        let _ = match value {
            f64::INFINITY => writeln!(self.text, " +Inf"),
            f64::NEG_INFINITY => writeln!(self.text, " -Inf"),
            value => writeln!(self.text, " {value}"),
        };
    }

    fn label(&mut self, separator: &mut char, name: &str, value: &str) {
        self.text.push(*separator);
        *separator = ',';
        if is_classic(name) {
            self.text.push_str(name);
        } else {
            // Prometheus 3 reads names of any text in quotes.
            self.quoted(name);
        }
        self.text.push('=');
        self.quoted(value);
    }

    /// The format knows three escapes and takes everything else as it is.
    fn quoted(&mut self, text: &str) {
        self.text.push('"');
        for c in text.chars() {
            match c {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }
}

/// Whether a label name can stand without quotes.
fn is_classic(name: &str) -> bool {
    let rest = name.strip_prefix(|c: char| c.is_ascii_alphabetic() || c == '_');
    rest.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(entity: &[(&str, &str)], own: &[(&str, &str)], value: f64, expected: &str) {
        let mut page = Page::default();
        let entity = Labels::from_pairs(entity.iter().copied()).expect("distinct names");
        page.gauge("m", "Help.").sample(&entity, own, value);
        let text = page.whole();
        let line = text.strip_prefix("# HELP m Help.\n# TYPE m gauge\n");
        assert_eq!(line, Some(expected));
    }

    #[test]
    fn families_are_by_name_and_scores_apart() {
        let mut page = Page::default();
        for name in ["portent_b", "anomaly_c", "portent_a", "anomaly_a"] {
            page.gauge(name, "Help.").sample(&Labels::empty(), &[], 1.0);
        }
        let family = |name| format!("# HELP {name} Help.\n# TYPE {name} gauge\n{name} 1\n");
        let (scores, own) = page.finish();
        assert_eq!(scores, family("anomaly_a") + &family("anomaly_c"));
        assert_eq!(own, family("portent_a") + &family("portent_b"));
    }

    #[test]
    fn writes_labels_and_values() {
        check(&[], &[], 1.0, "m 1\n");
        check(
            &[("job", "n"), ("instance", "a:1")],
            &[("model", "x")],
            0.25,
            "m{instance=\"a:1\",job=\"n\",model=\"x\"} 0.25\n",
        );
        check(&[], &[], f64::INFINITY, "m +Inf\n");
        check(&[], &[], f64::NAN, "m NaN\n");
    }

    #[test]
    fn hostile_label_values_stay_inside_their_quotes() {
        check(&[("a", "x\"} 1\nevil 2\\")], &[], 0.0, "m{a=\"x\\\"} 1\\nevil 2\\\\\"} 0\n");
        check(&[("a.b", "1")], &[], 0.0, "m{\"a.b\"=\"1\"} 0\n");
        check(&[("1\"a", "1")], &[], 0.0, "m{\"1\\\"a\"=\"1\"} 0\n");
    }

    #[test]
    fn an_entity_label_gives_way_to_ours() {
        check(
            &[("model", "T1000")],
            &[("model", "x")],
            0.0,
            "m{exported_model=\"T1000\",model=\"x\"} 0\n",
        );
        check(
            &[("exported_model", "a"), ("model", "b")],
            &[("model", "x")],
            0.0,
            "m{exported_model=\"a\",exported_exported_model=\"b\",model=\"x\"} 0\n",
        );
    }
}

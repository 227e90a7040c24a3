//! Groups: what is asked where only some entities are wanted, so that a server sends little else.
//!
//! In: the entities that are wanted, and the texts of a question. Out: for each group of entities the
//! texts that ask for them alone (see [`Expr::only`]), or nothing where the question has to be asked
//! whole. Groups have no entity in common, so that no value comes twice.

use crate::labels::Labels;
use crate::promql::Expr;

/// Entities in one query at most: the answer for eleven thousand steps of them is some 30 MB.
const MOST_VALUES: usize = 100;

/// Bytes of a text at most, where there is more than one entity in it: VictoriaMetrics takes 16 KiB
/// unless it is told otherwise.
const MOST_BYTES: usize = 12_000;

/// The entities that are wanted, by the label that tells most of them apart.
pub(crate) struct WantedEntities {
    label: String,
    /// In order, each once.
    values: Vec<String>,
    /// Whether it is said what has to be asked whole.
    pub tells: bool,
}

/// A question's text, and the one for where label sets clash.
pub(super) type Texts = (String, Option<String>);

impl WantedEntities {
    /// Nothing without any entity.
    pub fn new<'a>(
        entity: &[String],
        wanted: impl Iterator<Item = &'a Labels> + Clone,
        tells: bool,
    ) -> Option<Self> {
        let of_label = |label: &String| {
            let mut values: Vec<String> =
                wanted.clone().map(|it| it.get(label).to_owned()).collect();
            values.sort();
            values.dedup();
            Self { label: label.clone(), values, tells }
        };
        // Of those that tell as many the last, as in `[job, instance]`.
        let all = entity.iter().map(of_label);
        all.max_by_key(|it| it.values.len()).filter(|it| !it.values.is_empty())
    }

    /// The texts for each group. `None` where one of them cannot be asked of some entities alone.
    pub fn groups(&self, (text, lenient): &Texts) -> Option<Vec<Texts>> {
        let text = Expr::parse(text).ok()?;
        let lenient = lenient.as_ref().map(|it| Expr::parse(it)).transpose().ok()?;
        let only = |values: &[String]| -> Option<Texts> {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let other = match &lenient {
                Some(it) => Some(it.only(&self.label, &values)?),
                None => None,
            };
            Some((text.only(&self.label, &values)?, other))
        };
        let len = |(text, other): &Texts| text.len().max(other.as_ref().map_or(0, String::len));
        let mut groups = Vec::new();
        // The first group on top.
        let mut open: Vec<&[String]> = self.values.chunks(MOST_VALUES).rev().collect();
        while let Some(values) = open.pop() {
            let (left, right) = values.split_at(values.len() / 2);
            match only(values) {
                Some(texts) if left.is_empty() || len(&texts) <= MOST_BYTES => groups.push(texts),
                _ if left.is_empty() => return None,
                // A text that is far too long is refused as one that cannot be.
                _ => open.extend([right, left]),
            }
        }
        Some(groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(hosts: usize) -> WantedEntities {
        let labels = |i: usize| {
            let instance = format!("10.0.{}.{}:9100", i / 100, i % 100);
            Labels::from_pairs([("job", "node"), ("instance", &instance)]).expect("two names")
        };
        let all: Vec<Labels> = (0..hosts).map(labels).collect();
        let entity = ["job".to_owned(), "instance".to_owned()];
        WantedEntities::new(&entity, all.iter(), true).expect("entities")
    }

    fn groups(hosts: usize, text: &str) -> Option<Vec<String>> {
        let groups = wanted(hosts).groups(&(text.to_owned(), None))?;
        Some(groups.into_iter().map(|(text, _)| text).collect())
    }

    #[test]
    fn entities_are_asked_for_by_the_label_that_tells_most() {
        let expected = "rate({__name__=\"a\",instance=~\"10\\\\.0\\\\.0\\\\.0:9100|\
                        10\\\\.0\\\\.0\\\\.1:9100\"}[60000ms])";
        assert_eq!(groups(2, "rate(a[1m])").expect("narrowed"), [expected]);
        assert!(WantedEntities::new(&["job".to_owned()], std::iter::empty(), true).is_none());
    }

    #[test]
    fn groups_are_short_and_have_every_entity_once() {
        let long: Vec<String> = (0..40).map(|i| format!("m{i}")).collect();
        for text in ["a", &long.join(" + ")] {
            let groups = groups(250, text).expect("narrowed");
            assert!(groups.len() >= 3 && groups.iter().all(|it| it.len() <= MOST_BYTES));
            let each = Expr::parse(text).expect("good").selectors().len();
            for i in 0..250 {
                let value = format!("10\\\\.0\\\\.{}\\\\.{}:9100", i / 100, i % 100);
                let ends = ["|", "\""].map(|end| format!("{value}{end}"));
                let counts = groups.iter().map(|it| {
                    ends.iter().map(|end| it.matches(end.as_str()).count()).sum::<usize>()
                });
                let mut counts: Vec<usize> = counts.filter(|it| *it > 0).collect();
                assert_eq!(counts.pop(), Some(each), "{value}");
                assert!(counts.is_empty(), "{value}");
            }
        }
    }

    #[test]
    fn what_cannot_be_narrowed_is_asked_whole() {
        assert_eq!(groups(2, "sum(a)"), None);
        assert_eq!(groups(2, "rollup(a[1m])"), None, "no PromQL");
        let made = "label_replace(a, \"instance\", \"$1\", \"node\", \"(.*)\")";
        assert_eq!(groups(2, made), None);
        // Both texts or neither: what is asked in groups and whole would come twice.
        let both = |other: &str| wanted(2).groups(&("a".to_owned(), Some(other.to_owned())));
        assert_eq!(both("sum(a)"), None);
        assert!(both("b").expect("narrowed")[0].1.as_ref().is_some_and(|it| it.contains("9100")));
    }
}

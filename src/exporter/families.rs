//! Families: merges what several writers add to the metrics page into one order and one of two formats.
//!
//! In: texts in format 0.0.4, each of whole families. Out: one text with the families sorted by name and their
//! samples by labels, whatever order the writers had; in format 0.0.4, or as OpenMetrics 1.0.
//! Source: Prometheus "Exposition formats"; OpenMetrics 1.0.0, "Text format".

use std::collections::BTreeMap;

/// In which format a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// As the header of an answer names it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

#[derive(Debug, Default)]
struct Family<'a> {
    help: Option<&'a str>,
    kind: Option<&'a str>,
    samples: Vec<&'a str>,
}

/// All families of the texts. A family that several have is written once.
pub(super) fn sorted(texts: &[&str], format: Format) -> String {
    let mut families: BTreeMap<&str, Family<'_>> = BTreeMap::new();
    for text in texts {
        let mut name = "";
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some((of, help)) = heading(line, "# HELP ") {
                name = of;
                families.entry(name).or_default().help = Some(help);
            } else if let Some((of, kind)) = heading(line, "# TYPE ") {
                name = of;
                families.entry(name).or_default().kind = Some(kind);
            } else if !line.starts_with('#') {
                families.entry(name).or_default().samples.push(line);
            }
        }
    }
    let mut page = String::with_capacity(texts.iter().map(|it| it.len()).sum());
    for (name, family) in families {
        family.write(&mut page, name, format);
    }
    if format == Format::OpenMetrics {
        page.push_str("# EOF\n");
    }
    page
}

fn heading<'a>(line: &'a str, of: &str) -> Option<(&'a str, &'a str)> {
    let rest = line.strip_prefix(of)?;
    Some(rest.split_once(' ').unwrap_or((rest, "")))
}

impl Family<'_> {
    fn write(mut self, page: &mut String, name: &str, format: Format) {
        let kind = self.kind.unwrap_or("untyped");
        let (name, kind) = match (format, kind) {
            (Format::Text, kind) => (name, kind),
            // There a family of counters is named without what its samples end with.
            (Format::OpenMetrics, "counter") => match name.strip_suffix("_total") {
                Some(name) => (name, "counter"),
                None => (name, "unknown"),
            },
            (Format::OpenMetrics, "untyped") => (name, "unknown"),
            (Format::OpenMetrics, kind) => (name, kind),
        };
        if let Some(help) = self.help {
            let help = match format {
                Format::Text => help.to_owned(),
                Format::OpenMetrics => help.replace('"', "\\\""),
            };
            page.extend(["# HELP ", name, " ", &help, "\n"]);
        }
        page.extend(["# TYPE ", name, " ", kind, "\n"]);
        if kind == "histogram" {
            // The buckets of one are in the order of their bounds, and end with the count.
            let mut whole: Vec<&[&str]> =
                self.samples.split_inclusive(|line| is_count(line)).collect();
            whole.sort_by_key(|lines| lines.last().copied());
            page.extend(whole.into_iter().flatten().flat_map(|line| [*line, "\n"]));
        } else {
            self.samples.sort_unstable();
            page.extend(self.samples.into_iter().flat_map(|line| [line, "\n"]));
        }
    }
}

/// Whether it is the last line of one histogram.
fn is_count(line: &str) -> bool {
    line.split(['{', ' ']).next().is_some_and(|name| name.ends_with("_count"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 2] = [
        "# HELP b_total A \"b\".\n# TYPE b_total counter\nb_total{x=\"2\"} 2\nb_total{x=\"1\"} 1\n\n\
         # TYPE a_seconds histogram\n\
         a_seconds_bucket{m=\"y\",le=\"5\"} 0\na_seconds_bucket{m=\"y\",le=\"15\"} 1\n\
         a_seconds_sum{m=\"y\"} 6\na_seconds_count{m=\"y\"} 1\n\
         a_seconds_bucket{m=\"x\",le=\"5\"} 0\na_seconds_bucket{m=\"x\",le=\"15\"} 1\n\
         a_seconds_sum{m=\"x\"} 7\na_seconds_count{m=\"x\"} 1\n\n",
        "# HELP a_gauge A gauge.\n# TYPE a_gauge gauge\na_gauge 1\n",
    ];

    #[test]
    fn families_are_in_the_order_of_their_names() {
        let text = sorted(&TEXTS, Format::Text);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "# HELP a_gauge A gauge.",
                "# TYPE a_gauge gauge",
                "a_gauge 1",
                "# TYPE a_seconds histogram",
                "a_seconds_bucket{m=\"x\",le=\"5\"} 0",
                "a_seconds_bucket{m=\"x\",le=\"15\"} 1",
                "a_seconds_sum{m=\"x\"} 7",
                "a_seconds_count{m=\"x\"} 1",
                "a_seconds_bucket{m=\"y\",le=\"5\"} 0",
                "a_seconds_bucket{m=\"y\",le=\"15\"} 1",
                "a_seconds_sum{m=\"y\"} 6",
                "a_seconds_count{m=\"y\"} 1",
                "# HELP b_total A \"b\".",
                "# TYPE b_total counter",
                "b_total{x=\"1\"} 1",
                "b_total{x=\"2\"} 2",
            ]
        );
        assert_eq!(sorted(&[&text], Format::Text), text);
    }

    #[test]
    fn openmetrics_names_counters_without_total_and_has_an_end() {
        let text = sorted(&TEXTS, Format::OpenMetrics);
        assert!(text.contains("# HELP b A \\\"b\\\".\n# TYPE b counter\nb_total{"), "{text}");
        assert!(text.ends_with("\nb_total{x=\"2\"} 2\n# EOF\n"), "{text}");
        let odd = sorted(&["# TYPE c counter\nc 1\n"], Format::OpenMetrics);
        assert_eq!(odd, "# TYPE c unknown\nc 1\n# EOF\n");
    }
}

//! The form in which a scraper asks for the metrics page, by its headers.

use super::Format;
use crate::accept::{entries, takes_gzip};

/// The form of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageFormat {
    /// In which format.
    pub format: Format,
    /// Whether it may be compressed.
    pub gzip: bool,
}

impl PageFormat {
    /// Of all values of `Accept` and `Accept-Encoding`. Whoever asks for nothing that there is gets the text
    /// format, as exporters have it.
    pub fn of<'a>(
        accept: impl Iterator<Item = &'a str>,
        encodings: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut best = (Format::Text, 0.0);
        for (name, parameters, quality) in accept.flat_map(entries) {
            let version = parameters.iter().find_map(|it| it.strip_prefix("version="));
            let format = match (name, version.map(|it| it.trim_matches('"'))) {
                ("application/openmetrics-text", None | Some("0.0.1" | "1.0.0")) => {
                    Format::OpenMetrics
                }
                ("text/plain" | "text/*" | "*/*", _) => Format::Text,
                _ => continue,
            };
            if quality > best.1 {
                best = (format, quality);
            }
        }
        Self { format: best.0, gzip: takes_gzip(encodings) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &[&str], encoding: &[&str], format: Format, gzip: bool) {
        let wanted = PageFormat::of(accept.iter().copied(), encoding.iter().copied());
        assert_eq!(wanted, PageFormat { format, gzip }, "{accept:?} {encoding:?}");
    }

    #[test]
    fn what_is_wanted_most_of_what_there_is() {
        // Prometheus 3.5, as it asks by default.
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        check(&[prometheus], &["gzip"], Format::OpenMetrics, true);
        // With PrometheusText0.0.4 as its first protocol.
        let text =
            "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5";
        check(&[text], &[], Format::Text, false);
        check(
            &["text/plain;q=0.1", "application/openmetrics-text"],
            &[],
            Format::OpenMetrics,
            false,
        );
        check(&["application/openmetrics-text;version=2.0.0"], &["br"], Format::Text, false);
        check(&["text/html,*/*;q=0.8"], &["br, gzip;q=0.5"], Format::Text, true);
        check(&["application/openmetrics-text;q=0"], &["gzip;q=0"], Format::Text, false);
        check(&["", ";;,q=,"], &["gzip;q=x"], Format::Text, false);
        check(&[], &[], Format::Text, false);
    }
}

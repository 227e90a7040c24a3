//! What a client accepts: the entries of headers such as `Accept` and `Accept-Encoding`.
//!
//! Source: RFC 9110, section 12.

/// Name, parameters and quality of each entry of a header. A quality that is no number is 0.
pub fn entries(header: &str) -> impl Iterator<Item = (&str, Vec<&str>, f64)> {
    header.split(',').map(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let parameters: Vec<&str> = parts.collect();
        let quality = parameters.iter().find_map(|it| it.strip_prefix("q="));
        (name, parameters, quality.map_or(1.0, |it| it.parse().unwrap_or(0.0)))
    })
}

/// Whether an answer may be compressed with gzip, by all values of `Accept-Encoding`.
pub fn takes_gzip<'a>(encodings: impl Iterator<Item = &'a str>) -> bool {
    let mut encodings = encodings.flat_map(entries);
    encodings.any(|(name, _, quality)| name == "gzip" && quality > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_by_who_names_it() {
        for (header, expected) in [
            ("gzip", true),
            ("gzip, deflate, br", true),
            ("br, gzip;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip;q=x", false),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip([header].into_iter()), expected, "{header}");
        }
        assert!(takes_gzip(["br", "gzip"].into_iter()));
        assert!(!takes_gzip(std::iter::empty()));
    }
}

//! Labels: which sets are a series, in both versions, and what the sender of another set is told.

use super::message::{
    BOTH, Expected, Sent, Text, Version, check, check_message, field, number, sample,
};
use super::{NOW_MS, Server};

const UP: (Text<'_>, Text<'_>) = (b"__name__", b"up");

/// The label set becomes this one, or is refused with this sentence; a good series beside it is stored.
async fn row(labels: &[(Text<'_>, Text<'_>)], expected: Result<&str, &str>) {
    let tested = Sent { labels: labels.to_vec(), samples: vec![(NOW_MS, 1.0)], ..Sent::default() };
    let good = Sent::new(&[("__name__", "kept_good")], &[(NOW_MS, 2.0)]);
    let with_good = [tested, good];
    let good: (&str, &[(i64, f64)]) = ("kept_good", &[(0, 2.0)]);
    match expected {
        Ok(text) => {
            let mut stored = vec![good, (text, &[(0, 1.0)])];
            stored.sort_by_key(|it| it.0);
            let expected =
                Expected { status: 204, counts: [2, 0, 0], sentence: "", stored: &stored };
            check(&with_good, &expected).await;
        }
        Err(reason) => {
            let sentence = format!(
                "1 of 2 samples were not taken in: 1 of invalid series; 1 series are invalid; for \
                 example: {reason}"
            );
            let stored = [good];
            let expected =
                Expected { status: 400, counts: [1, 0, 0], sentence: &sentence, stored: &stored };
            check(&with_good, &expected).await;
        }
    }
}

/// Telegraf has the name last, Go programs build labels of maps.
#[tokio::test]
async fn labels_come_in_any_order() {
    let text = r#"up{a="1", b="2"}"#;
    row(&[UP, (b"a", b"1"), (b"b", b"2")], Ok(text)).await;
    row(&[(b"b", b"2"), (b"a", b"1"), UP], Ok(text)).await;
    row(&[(b"b", b"2"), UP, (b"a", b"1")], Ok(text)).await;
}

/// A label with an empty value is one that is not there.
#[tokio::test]
async fn empty_values_are_dropped() {
    row(&[UP, (b"a", b"")], Ok("up")).await;
    row(&[(b"a", b""), UP, (b"b", b"2")], Ok(r#"up{b="2"}"#)).await;
}

/// Version 1.0 has regular expressions for names, which Prometheus's own receiver does not ask for.
#[tokio::test]
async fn names_and_values_are_any_text() {
    row(&[(b"__name__", b"kept.with-dots and blanks")], Ok("kept.with-dots and blanks")).await;
    row(&[(b"__name__", "kept_h\u{e4}user".as_bytes())], Ok("kept_h\u{e4}user")).await;
    row(&[UP, (b"a.b-c", b"1")], Ok(r#"up{a.b-c="1"}"#)).await;
    row(&[UP, ("gr\u{f6}\u{df}e".as_bytes(), b"1")], Ok("up{gr\u{f6}\u{df}e=\"1\"}")).await;
    row(&[UP, (b"0a", b"1")], Ok(r#"up{0a="1"}"#)).await;
    row(&[UP, (b"a", "\u{2603}\n".as_bytes())], Ok("up{a=\"\u{2603}\\n\"}")).await;
    row(&[UP, (b"__meta_x", b"1")], Ok(r#"up{__meta_x="1"}"#)).await;
}

#[tokio::test]
async fn a_series_has_a_name() {
    row(&[], Err("a series has no metric name: {}")).await;
    row(&[(b"a", b"1")], Err(r#"a series has no metric name: {a="1"}"#)).await;
    row(&[(b"__name__", b"")], Err(r#"a series has no metric name: {__name__=""}"#)).await;
}

#[tokio::test]
async fn names_are_not_empty_and_not_there_twice() {
    row(&[UP, (b"", b"1")], Err(r#"a series of "up" has a label without a name"#)).await;
    let twice = r#"a series of "up": label name "a" occurs more than once"#;
    row(&[UP, (b"a", b"1"), (b"a", b"1")], Err(twice)).await;
    row(&[(b"a", b"1"), UP, (b"a", b"2")], Err(twice)).await;
    row(&[UP, (b"a", b"1"), (b"a", b"")], Err(twice)).await;
    let twice = r#"a series of "up": label name "__name__" occurs more than once"#;
    row(&[UP, (b"__name__", b"up")], Err(twice)).await;
}

#[tokio::test]
async fn texts_are_utf_8() {
    row(&[UP, (b"a", b"\xff")], Err(r#"a label value is not UTF-8: "\xff""#)).await;
    row(&[UP, (b"a\xc3", b"1")], Err(r#"a label name is not UTF-8: "a\xc3""#)).await;
    row(&[(b"__name__", b"\xed\xa0\x80")], Err(r#"a label value is not UTF-8: "\xed\xa0\x80""#))
        .await;
}

/// A sender that catches up sends a series many times in a request.
#[tokio::test]
async fn a_label_set_may_be_there_more_than_once() {
    let again = Sent::new(&[("a", "1"), ("__name__", "up")], &[(NOW_MS + 1_000, 2.0)]);
    let first = Sent::new(&[("__name__", "up"), ("a", "1")], &[(NOW_MS, 1.0)]);
    let other = Sent::new(&[("__name__", "up"), ("a", "2")], &[(NOW_MS, 3.0)]);
    let expected = Expected {
        status: 204,
        counts: [3, 0, 0],
        sentence: "",
        stored: &[(r#"up{a="1"}"#, &[(0, 1.0), (1_000, 2.0)]), (r#"up{a="2"}"#, &[(0, 3.0)])],
    };
    check(&[first, other, again], &expected).await;
}

/// A sender that goes over from one version to the other goes on with its series.
#[tokio::test]
async fn both_versions_write_the_same_series() {
    let server = Server::usual().await;
    for (version, later) in [(Version::First, 0), (Version::Second, 1), (Version::First, 2)] {
        let mut labels = [("__name__", "up"), ("b", "2"), ("a", "1")];
        labels.rotate_left(later as usize);
        let samples: Vec<_> = (0..=later).map(|it| (NOW_MS + it, it as f64)).collect();
        let message = version.message(&[Sent::new(&labels, &samples)]);
        let stored: Vec<_> = (0..=later).map(|it| (it, it as f64)).collect();
        let expected = Expected {
            status: 204,
            counts: [samples.len() as u64, 0, 0],
            sentence: "",
            stored: &[(r#"up{a="1", b="2"}"#, &stored)],
        };
        check_message(&server, version, &message, &expected).await;
    }
}

/// A message of 2.0 with these symbols, and a series whose labels are these of them beside a good one.
fn second(symbols: &[Text<'_>], refs: &[u64]) -> Vec<u8> {
    let mut message: Vec<u8> = symbols.iter().flat_map(|it| field(4, it)).collect();
    for refs in [refs, &[1, 2]] {
        let refs: Vec<u8> = refs.iter().flat_map(|it| number(*it)).collect();
        message.extend(field(5, &[field(1, &refs), field(2, &sample(NOW_MS, 1.0))].concat()));
    }
    message
}

/// What a series with such references comes to.
async fn row_of_refs(symbols: &[Text<'_>], refs: &[u64], expected: Result<&str, &str>) {
    let sentence = expected.err().map(|reason| {
        format!(
            "1 of 2 samples were not taken in: 1 of invalid series; 1 series are invalid; for \
             example: {reason}"
        )
    });
    let now: &[(i64, f64)] = &[(0, 1.0)];
    let mut stored = vec![("up", now)];
    stored.extend(expected.ok().map(|text| (text, now)));
    let expected = Expected {
        status: if sentence.is_some() { 400 } else { 204 },
        counts: [2 - u64::from(sentence.is_some()), 0, 0],
        sentence: sentence.as_deref().unwrap_or_default(),
        stored: &stored,
    };
    let message = second(symbols, refs);
    check_message(&Server::usual().await, Version::Second, &message, &expected).await;
}

#[tokio::test]
async fn references_are_pairs_of_symbols_that_are_there() {
    let symbols: [Text<'_>; 7] = [b"", b"__name__", b"up", b"a", b"1", b"a", b"\xff"];
    row_of_refs(&symbols, &[1, 2, 3, 4], Ok(r#"up{a="1"}"#)).await;
    row_of_refs(
        &symbols,
        &[3, 4, 1, 2, 5, 4],
        Err(
            // The same name by two numbers.
            r#"a series of "up": label name "a" occurs more than once"#,
        ),
    )
    .await;
    let odd = "a series has 3 label references, which must be pairs: {}";
    row_of_refs(&symbols, &[1, 2, 3], Err(odd)).await;
    let beyond = |at| {
        format!(r#"a series refers to symbol {at} of 7, which is not there: {{__name__="up"}}"#)
    };
    row_of_refs(&symbols, &[1, 2, 3, 7], Err(&beyond(7))).await;
    row_of_refs(&symbols, &[1, 2, 999, 4], Err(&beyond(999))).await;
    row_of_refs(&symbols, &[1, 2, 3, u64::from(u32::MAX)], Err(&beyond(u32::MAX))).await;
    row_of_refs(&symbols, &[1, 0], Err(r#"a series has no metric name: {__name__=""}"#)).await;
    row_of_refs(&symbols, &[0, 0], Err(r#"a series has no metric name: {=""}"#)).await;
    // A symbol that is no text harms only who refers to it.
    let no_text = r#"a label value is not UTF-8: "\xff""#;
    row_of_refs(&symbols, &[1, 2, 3, 6], Err(no_text)).await;
}

#[tokio::test]
async fn the_first_symbol_is_the_empty_one() {
    let sentence = "the request has no symbols, or the first one is not the empty text";
    let refused = Expected { status: 400, counts: [0, 0, 0], sentence, stored: &[] };
    let tables: [&[Text<'_>]; 3] = [&[], &[b"x", b"__name__", b"up"], &[b"__name__", b"up", b""]];
    for symbols in tables {
        let message = second(symbols, &[1, 2]);
        check_message(&Server::usual().await, Version::Second, &message, &refused).await;
    }
    let nothing = Expected { status: 204, counts: [0, 0, 0], sentence: "", stored: &[] };
    for message in [vec![], field(4, b"")] {
        check_message(&Server::usual().await, Version::Second, &message, &nothing).await;
    }
}

/// What is refused is told by three examples, however many there are.
#[tokio::test]
async fn an_answer_has_few_examples() {
    let names = ["a", "b", "c", "d", "e"];
    let all: Vec<Sent<'_>> =
        names.iter().map(|name| Sent::new(&[(name, "1")], &[(NOW_MS, 1.0)])).collect();
    let sentence = "5 of 5 samples were not taken in: 5 of invalid series; 5 series are invalid; for \
                    example: a series has no metric name: {a=\"1\"}; a series has no metric name: \
                    {b=\"1\"}; a series has no metric name: {c=\"1\"}";
    check(&all, &Expected { status: 400, counts: [0, 0, 0], sentence, stored: &[] }).await;
    for version in BOTH {
        let long = "\u{e4}".repeat(2_000);
        let all = names.map(|name| Sent::new(&[(name, &long)], &[(NOW_MS, 1.0)]));
        let reply = Server::usual().await.post(version.headers(), &version.body(&all)).await;
        assert!(reply.body.len() < 1_000, "a sender logs about so much: {reply:?}");
    }
}

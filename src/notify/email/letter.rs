//! A letter: what notices say as an e-mail.
//!
//! In: notices, the time, from whom and to whom. Out: the bytes of a message, RFC 5322, whose id is the same
//! each time the same is told, so that who gets it twice can know. Nothing that a label or an annotation holds
//! becomes a header of its own: the subject is one line.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0};

use super::super::notice::{Notice, clip, content_id, text};

/// Nobody reads as much, and every server takes it.
const TEXT_BYTES: usize = 64 << 10;

/// A subject is cut by those who show it long before.
const SUBJECT_BYTES: usize = 200;

/// Names and hosts that a subject spells out; how many more there are is said.
const IN_SUBJECT: usize = 3;

/// The message.
///
/// # Errors
/// When the library finds that these cannot be a message.
pub(super) fn letter(
    from: &Mailbox,
    to: &[Mailbox],
    now_ms: i64,
    notices: &[Notice],
) -> Result<Vec<u8>, lettre::error::Error> {
    let since = Duration::from_millis(u64::try_from(now_ms).unwrap_or(0));
    let id = format!("<{}@{}>", content_id(notices), from.email.domain());
    // RFC 3834: nobody who is on holiday answers.
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let automatic = HeaderValue::new(automatic, "auto-generated".to_owned());
    let mut builder = Message::builder()
        .from(from.clone())
        .subject(subject(notices))
        .date(UNIX_EPOCH + since)
        .message_id(Some(id))
        .raw_header(automatic)
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN);
    for mailbox in to {
        builder = builder.to(mailbox.clone());
    }
    let text = text(notices, TEXT_BYTES);
    let text = text.replace(|it: char| it.is_control() && it != '\n', " ");
    Ok(builder.body(text)?.formatted())
}

/// How many of what fire and are resolved, what they are and where.
fn subject(notices: &[Notice]) -> String {
    let counts = ["firing", "resolved"].map(|status| {
        let count = notices.iter().filter(|it| it.status() == status).count();
        (count > 0).then(|| format!("{}:{count}", status.to_uppercase()))
    });
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    let names = spelt_out(notices.iter().map(|it| it.labels.get("alertname").to_owned()));
    let whom = spelt_out(notices.iter().map(|it| match &it.entity {
        Some(entity) => entity.iter().map(|it| it.1).collect::<Vec<_>>().join(" "),
        None => match it.labels.get("model") {
            "" => String::new(),
            model => format!("model {model}"),
        },
    }));
    let colon = if whom.is_empty() { "" } else { ": " };
    let subject = format!("[{}] {names}{colon}{whom}", counts.join(", "));
    clip(
        &subject.split(breaks).filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" "),
        SUBJECT_BYTES,
    )
}

/// Where a line of a subject may not be broken, and so is a space instead.
fn breaks(it: char) -> bool {
    it.is_control() || it.is_whitespace()
}

fn spelt_out(all: impl Iterator<Item = String>) -> String {
    let all: BTreeSet<String> = all.filter(|it| !it.is_empty()).collect();
    let first: Vec<&str> = all.iter().take(IN_SUBJECT).map(String::as_str).collect();
    match all.len().saturating_sub(IN_SUBJECT) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Labels;

    fn notice(host: &str, resolved_ms: Option<i64>) -> Notice {
        let labels = [("alertname", "HostAnomalous"), ("instance", host), ("model", "node")];
        Notice {
            labels: Labels::from_pairs(labels).expect("names"),
            entity: Some(Labels::from_pairs([("instance", host)]).expect("a name")),
            annotations: [("summary".to_owned(), format!("{host} is anomalous"))].into(),
            fired_ms: 1_700_000_000_000,
            resolved_ms,
            details: None,
        }
    }

    fn written(notices: &[Notice]) -> String {
        let from: Mailbox = "Portent <p@b.org>".parse().expect("an address");
        let to: Vec<Mailbox> =
            ["a@b.org", "c@d.org"].map(|it| it.parse().expect("an address")).into();
        let bytes = letter(&from, &to, 1_700_000_001_000, notices).expect("a message");
        String::from_utf8(bytes).expect("ASCII")
    }

    #[test]
    fn a_letter_says_what_and_where() {
        let text = written(&[notice("web-1", None)]);
        let (head, body) = text.split_once("\r\n\r\n").expect("a body");
        let head: Vec<&str> = head.split("\r\n").collect();
        for line in [
            "From: Portent <p@b.org>",
            "To: a@b.org, c@d.org",
            "Subject: [FIRING:1] HostAnomalous: web-1",
            "Date: Tue, 14 Nov 2023 22:13:21 +0000",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert!(head.contains(&line), "{line}: {head:#?}");
        }
        assert_eq!(body.trim_end(), "[FIRING:1]\r\nHostAnomalous: web-1 is anomalous");
        let id = |text: &str| {
            let line = text.split("\r\n").find(|it| it.starts_with("Message-ID: "));
            line.expect("an id").to_owned()
        };
        assert!(id(&text).ends_with("@b.org>"), "{text}");
        assert_eq!(id(&text), id(&written(&[notice("web-1", None)])), "told again");
        assert_ne!(id(&text), id(&written(&[notice("web-1", Some(1))])), "its end");
    }

    #[test]
    fn a_subject_counts_what_it_does_not_spell_out() {
        let mut all: Vec<Notice> = (0..5).map(|i| notice(&format!("web-{i}"), None)).collect();
        all.push(notice("web-0", Some(1)));
        let expected = "[FIRING:5, RESOLVED:1] HostAnomalous: web-0, web-1, web-2 and 2 more";
        assert_eq!(subject(&all), expected);
        let fleet = Notice { entity: None, ..notice("x", None) };
        assert_eq!(subject(&[fleet]), "[FIRING:1] HostAnomalous: model node");
        assert!(subject(&[notice(&"x".repeat(9_000), None)]).len() <= SUBJECT_BYTES);
    }

    #[test]
    fn what_a_label_holds_is_no_header() {
        for evil in [
            "web\r\nBcc: x@evil.org",
            "web\nBcc: x@evil.org",
            "web\rBcc: x@evil.org",
            "web\r\n\r\nBcc: x@evil.org",
            "wéb\u{85}\u{2028}\r\nBcc: x@evil.org",
            "web\0\u{b}\u{c}Bcc: x@evil.org",
        ] {
            let text = written(&[notice(evil, None)]);
            let (head, _) = text.split_once("\r\n\r\n").expect("a body");
            assert!(text.is_ascii() && !head.contains("\r\nBcc"), "{text}");
            assert!(!head.replace("\r\n", "").contains(['\r', '\n', '\0']), "{text}");
            let subject = head.split("\r\n").filter(|it| it.starts_with("Subject: ")).count();
            assert_eq!((subject, head.matches("To: ").count()), (1, 1), "{text}");
        }
        // What is no ASCII arrives nevertheless.
        let text = written(&[notice("wéb", None)]);
        assert!(text.contains("=?utf-8?b?"), "{text}");
    }
}

//! How alerts are told by e-mail, in the words of Alertmanager's `email_config`.
//!
//! In: the section of the configuration. Out: addresses, a server and how to speak to it, which fit together.
//! A password goes to nobody in clear: without TLS it is for a server of this machine only.
//!
//! Source: Alertmanager documentation "Configuration", `<email_config>`; its `notify/email/email.go`.

use std::path::PathBuf;

use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};

use crate::http_client::{HttpConfigError, Secret, TlsConfig};

/// Where TLS begins with the first byte: `submissions` of RFC 8314, as in Alertmanager.
const SUBMISSIONS_PORT: u16 = 465;

/// Mailboxes that are told through one server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmailConfig {
    /// Addresses, separated by commas.
    pub to: String,
    /// The address that says so.
    pub from: String,
    /// The server that takes it, `HOST:PORT`.
    pub smarthost: String,
    /// What we call ourselves.
    pub hello: String,
    /// The user.
    pub auth_username: Option<String>,
    /// The password.
    pub auth_password: Option<Secret>,
    /// A file with it.
    pub auth_password_file: Option<PathBuf>,
    /// Whether nothing is sent unless TLS begins by STARTTLS; otherwise nothing is encrypted.
    pub require_tls: bool,
    /// Whether TLS begins with the connection; on port 465 if nothing is said.
    pub force_implicit_tls: Option<bool>,
    /// Whom to trust, and who we are.
    pub tls_config: TlsConfig,
    /// Whether it is told of alerts that are resolved.
    pub send_resolved: bool,
}

impl Default for EmailConfig {
    fn default() -> Self {
        Self {
            to: String::new(),
            from: String::new(),
            smarthost: String::new(),
            // As in Alertmanager.
            hello: "localhost".to_owned(),
            auth_username: None,
            auth_password: None,
            auth_password_file: None,
            require_tls: true,
            force_implicit_tls: None,
            tls_config: TlsConfig::default(),
            send_resolved: true,
        }
    }
}

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsStart {
    Never,
    /// With STARTTLS, or nothing is sent.
    Command,
    Connection,
}

/// What the section says, read.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::notify) struct EmailParts {
    pub(super) from: Mailbox,
    pub(super) to: Vec<Mailbox>,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: TlsStart,
}

/// The key that is wrong, and why.
type Wrong = (&'static str, String);

impl EmailConfig {
    /// What it says.
    ///
    /// # Errors
    /// Names the first key that cannot work.
    pub(in crate::notify) fn parts(&self) -> Result<EmailParts, Wrong> {
        let to = pieces(&self.to).into_iter().map(|it| mailbox("to", it));
        let to = to.collect::<Result<Vec<Mailbox>, Wrong>>()?;
        let from = mailbox("from", &self.from)?;
        let (host, port) = smarthost(&self.smarthost)?;
        let is_word = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_word(&self.hello) {
            return Err(("hello", "must be the name of a host".to_owned()));
        }
        self.tls_config
            .validate()
            .map_err(|HttpConfigError { reason, .. }| ("tls_config", reason))?;
        let is_implicit = self.force_implicit_tls.unwrap_or(port == SUBMISSIONS_PORT);
        let tls = match self.require_tls {
            _ if is_implicit => TlsStart::Connection,
            true => TlsStart::Command,
            false => TlsStart::Never,
        };
        self.check_credentials(&host, tls)?;
        Ok(EmailParts { from, to, host, port, tls })
    }

    fn check_credentials(&self, host: &str, tls: TlsStart) -> Result<(), Wrong> {
        let passwords =
            [self.auth_password.is_some(), self.auth_password_file.is_some()].map(usize::from);
        let wrong = |key, reason: &str| Err((key, reason.to_owned()));
        match (&self.auth_username, passwords.iter().sum()) {
            (None, 0) => Ok(()),
            (None, _) => wrong("auth_username", "must be there where a password is"),
            (Some(_), 0) => wrong(
                "auth_username",
                "has no effect without one of auth_password and auth_password_file",
            ),
            (Some(_), 2) => wrong("auth_password", "leave out either this or auth_password_file"),
            (Some(_), _) if tls == TlsStart::Never && !is_local(host) => wrong(
                "require_tls",
                "must be true where a password is, unless smarthost is localhost: it would go in clear",
            ),
            (Some(_), _) => Ok(()),
        }
    }

    /// All paths of files.
    pub(in crate::notify) fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.auth_password_file.iter_mut().chain(self.tls_config.paths_mut())
    }
}

/// Whether nobody is between us and a server: as Go's `smtp.PlainAuth` has it.
fn is_local(host: &str) -> bool {
    ["localhost", "127.0.0.1", "::1"].contains(&host)
}

/// A list cut at its commas, but for those in quotes.
fn pieces(list: &str) -> Vec<&str> {
    let (mut pieces, mut start) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (i, c) in list.char_indices() {
        match c {
            '"' if !is_escaped => is_quoted = !is_quoted,
            ',' if !is_quoted => {
                pieces.push(&list[start..i]);
                start = i + 1;
            }
            _ => {}
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    pieces.push(&list[start..]);
    pieces
}

/// One address, with or without a name before it.
fn mailbox(key: &'static str, text: &str) -> Result<Mailbox, Wrong> {
    let text = text.trim();
    let wrong = || {
        (
            key,
            format!(
                "{text:?} is not an e-mail address; write NAME@HOST, in ASCII, or Some Name <NAME@HOST>"
            ),
        )
    };
    let found: Mailbox = text.parse().map_err(|_| wrong())?;
    let address: &str = found.email.as_ref();
    // The parser leaves what it does not understand, and other alphabets need more than most servers can.
    let is_whole = text == address || text.ends_with(&format!("<{address}>"));
    let is_plain = address.bytes().all(|byte| byte.is_ascii_graphic())
        && !text.contains(|it: char| it.is_control());
    if is_whole && is_plain { Ok(found) } else { Err(wrong()) }
}

fn smarthost(text: &str) -> Result<(String, u16), Wrong> {
    let wrong =
        || ("smarthost", format!("{text:?} is not HOST:PORT, such as smtp.example.org:587"));
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let (host, is_bracketed) = match host.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        Some(address) => (address, true),
        None => (host, false),
    };
    let of_name = |it: char| it.is_ascii_alphanumeric() || "-._".contains(it);
    let is_host = match is_bracketed {
        true => host.parse::<std::net::Ipv6Addr>().is_ok(),
        false => !host.is_empty() && host.chars().all(of_name),
    };
    if is_host && port > 0 { Ok((host.to_owned(), port)) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "to: a@b.org, from: p@b.org, smarthost: 'b.org:587'";

    fn parsed(yaml: &str) -> Result<EmailParts, String> {
        let config: EmailConfig = serde_yaml::from_str(&format!("{{{yaml}}}")).expect("a section");
        config.parts().map_err(|(key, reason)| format!("{key}: {reason}"))
    }

    #[track_caller]
    fn check_bad(yaml: &str, expected: &str) {
        let error = parsed(yaml).expect_err("a refusal");
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn addresses_are_as_in_alertmanager() {
        let yaml = r#"to: 'a@b.org, "Doe, Jane" <j@b.org>,On Call <c@d.org>', from: P <p@b.org>, smarthost: 'b.org:465'"#;
        let parts = parsed(yaml).expect("good");
        let to: Vec<&str> = parts.to.iter().map(|it| it.email.as_ref()).collect();
        assert_eq!(to, ["a@b.org", "j@b.org", "c@d.org"]);
        assert_eq!(parts.to[1].name.as_deref(), Some("Doe, Jane"));
        assert_eq!((&*parts.host, parts.port, parts.tls), ("b.org", 465, TlsStart::Connection));
        let rest = "to: a@b.org, from: p@b.org, smarthost: '[::1]:25'";
        let parts = parsed(rest).expect("good");
        assert_eq!((&*parts.host, parts.port, parts.tls), ("::1", 25, TlsStart::Command));
        let parts = parsed(&format!("{GOOD}, require_tls: false")).expect("good");
        assert_eq!(parts.tls, TlsStart::Never);
        let parts = parsed(&format!("{GOOD}, force_implicit_tls: true")).expect("good");
        assert_eq!(parts.tls, TlsStart::Connection);
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let with = |key: &str, value: &str| {
            let good = [("to", "a@b.org"), ("from", "p@b.org"), ("smarthost", "b.org:25")];
            let one = |(name, text): (&str, &str)| {
                format!("{name}: '{}'", if name == key { value } else { text })
            };
            good.map(one).join(", ")
        };
        check_bad("{}".trim_matches(['{', '}']), "to: \"\" is not an e-mail address");
        for wrong in ["", "nobody", "a@b.org,", "a@b.org; c@d.org", "a@b.org c", "ä@b.org"] {
            check_bad(&with("to", wrong), "is not an e-mail address; write NAME@HOST");
        }
        check_bad(&with("to", "a@b.org, x"), "to: \"x\" is not an e-mail address");
        check_bad(&with("from", ""), "from: \"\" is not an e-mail address");
        check_bad(&with("from", "a@b.org, c@b.org"), "from: ");
        for wrong in
            ["", "b.org", "b.org:", ":25", "b.org:0", "b.org:smtp", "b.org:99999", "::1:25"]
        {
            check_bad(&with("smarthost", wrong), "is not HOST:PORT");
        }
        check_bad(&format!("{GOOD}, hello: 'a b'"), "hello: must be the name of a host");
        check_bad(&format!("{GOOD}, hello: \"a\\r\\nb\""), "hello: must be the name of a host");
        check_bad(&format!("{GOOD}, tls_config: {{key_file: k}}"), "cert_file and key_file");
    }

    #[test]
    fn a_password_is_whole_and_goes_to_nobody_in_clear() {
        check_bad(&format!("{GOOD}, auth_password: hunter2"), "auth_username: must be there");
        check_bad(&format!("{GOOD}, auth_username: u"), "auth_username: has no effect without");
        let two = "auth_username: u, auth_password: hunter2, auth_password_file: f";
        check_bad(&format!("{GOOD}, {two}"), "auth_password: leave out either");
        let clear = "auth_username: u, auth_password: hunter2, require_tls: false";
        check_bad(&format!("{GOOD}, {clear}"), "require_tls: must be true where a password is");
        let local = GOOD.replace("'b.org:", "'127.0.0.1:");
        parsed(&format!("{local}, {clear}")).expect("nobody is between");
        parsed(&format!("{GOOD}, {clear}, force_implicit_tls: true")).expect("it has TLS");
    }
}

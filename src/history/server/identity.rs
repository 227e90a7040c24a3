//! An identity: which server is asked, and with which credentials; beside the query they decide the answer.
//!
//! In: the server's address, and users, passwords, tokens, headers, the certificate. Out: a text that is the
//! same for the same of them and the same salt, and differs otherwise. It may be kept beside answers: the
//! credentials are in it as a slow hash, so that each guess takes a tenth of a second and more.
//!
//! Source: RFC 8018, section 5.2 (PBKDF2); the number of rounds is OWASP's "Password Storage Cheat Sheet".

use std::fmt::Write;
use std::num::NonZeroU32;

use ring::pbkdf2::{self, PBKDF2_HMAC_SHA256};

/// Rounds of the hash.
const ROUNDS: NonZeroU32 = NonZeroU32::new(600_000).expect("above 0");

/// Bytes of what is made of credentials, and of a salt.
pub(crate) const BYTES: usize = 32;

/// Whom we ask, and who we are.
pub(crate) struct Identity {
    /// The address without credentials.
    shown: String,
    /// Names and values, each after its length: no two lists of them are the same bytes.
    credentials: Vec<u8>,
}

impl Identity {
    /// Somebody without credentials asks the server at an address.
    pub fn new(shown: &str) -> Self {
        Self { shown: shown.to_owned(), credentials: Vec::new() }
    }

    /// Somebody who says this of himself, too. The order matters.
    pub fn add(&mut self, what: &str, value: &[u8]) {
        for part in [what.as_bytes(), value] {
            self.credentials.extend((part.len() as u64).to_le_bytes());
            self.credentials.extend(part);
        }
    }

    /// The text. It takes a good part of a second to make.
    pub fn text(&self, salt: &[u8; BYTES]) -> String {
        let mut hash = [0; BYTES];
        // HMAC takes zeros at the end of a short key for none: they must not be the end.
        let key = [&self.credentials[..], &[1]].concat();
        pbkdf2::derive(PBKDF2_HMAC_SHA256, ROUNDS, salt, &key, &mut hash);
        let mut text = format!("{} ", self.shown);
        hash.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a text takes all"));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_told_apart_and_not_told() {
        let text = |salt: u8, shown: &str, parts: &[(&str, &str)]| {
            let mut identity = Identity::new(shown);
            parts.iter().for_each(|(what, value)| identity.add(what, value.as_bytes()));
            identity.text(&[salt; BYTES])
        };
        let all = [
            text(1, "http://a", &[]),
            text(1, "http://b", &[]),
            text(1, "http://a", &[("bearer", "hunter2")]),
            text(1, "http://a", &[("bearer", "hunter3")]),
            text(1, "http://a", &[("x", "hunter2")]),
            text(1, "http://a", &[("bearerh", "unter2")]),
            text(1, "http://a", &[("bearer", "hunter2"), ("", "")]),
            text(2, "http://a", &[("bearer", "hunter2")]),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|other| other != one), "{i}: {one}");
            assert!(one.starts_with("http://") && !one.contains("hunter"), "{one}");
        }
        assert_eq!(text(1, "http://a", &[("bearer", "hunter2")]), all[2]);
    }
}

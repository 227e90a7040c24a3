//! A secret: a text that is used and never shown.
//!
//! It is read from a configuration file as plain text; printed, logged or written out it is
//! `<secret>`. Source: Prometheus's `common/config/config.go`, which prints the same word.

use std::fmt;
use std::path::PathBuf;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::files::read_whole;

/// Bytes of a file with a secret, at most: no server takes a header as large.
pub(super) const MAX_SECRET_BYTES: u64 = 64 << 10;

/// What stands in a secret's place.
pub(super) const SHOWN: &str = "<secret>";

/// A text that is used and never shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// One that is written down or, if a file is named, in that; without white space around it.
    ///
    /// # Errors
    /// When the file cannot be read, or is empty.
    pub fn read(
        text: &Option<Self>,
        file: &Option<PathBuf>,
    ) -> Result<Option<Self>, SecretFileError> {
        let Some(path) = file else { return Ok(text.clone()) };
        let wrong = |reason: String| SecretFileError { path: path.display().to_string(), reason };
        let bytes = read_whole(path, MAX_SECRET_BYTES).map_err(|error| wrong(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is not text".to_owned()))?;
        match text.trim() {
            "" => Err(wrong("it is empty".to_owned())),
            text => Ok(Some(Self::new(text))),
        }
    }
}

/// Why a file with a secret cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot use {path}: {reason}")]
pub struct SecretFileError {
    /// The file.
    pub path: String,
    /// What is wrong with it; never what is in it.
    pub reason: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHOWN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(SHOWN)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text)
    }
}

/// Takes text only, and does not repeat in its error what else it found: a password of digits is
/// a number to YAML.
struct Text;

impl Text {
    fn refuse<T, E: Error>(&self) -> Result<T, E> {
        Err(E::invalid_type(Unexpected::Other("something that is not text"), self))
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret as text (put quotes around it)")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
        self.refuse()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
        self.refuse()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Secret, E> {
        self.refuse()
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Secret, E> {
        self.refuse()
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Secret, E> {
        self.refuse()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
        self.refuse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(yaml: &str, hidden: &str) {
        let error = serde_yaml::from_str::<Secret>(yaml).expect_err("no text").to_string();
        assert!(error.contains("put quotes around it"), "{error}");
        assert!(!error.contains(hidden), "{error}");
    }

    #[test]
    fn a_secret_is_read_and_never_shown() {
        let secret: Secret = serde_yaml::from_str("hunter2").expect("text");
        assert_eq!(secret.reveal(), "hunter2");
        assert_eq!(format!("{secret:?}"), "<secret>");
        assert_eq!(serde_yaml::to_string(&secret).expect("plain").trim(), "<secret>");
        let quoted: Secret = serde_yaml::from_str("'12345'").expect("text");
        assert_eq!(quoted.reveal(), "12345");
    }

    #[test]
    fn what_is_no_text_is_refused_without_being_repeated() {
        check_refused("12345", "12345");
        check_refused("-12345", "12345");
        check_refused("123456789012345678901234567890", "1234");
        check_refused("12.75", "12.75");
        check_refused("true", "true");
        check_refused("[hunter2]", "hunter2");
        check_refused("{hunter2: a}", "hunter2");
    }
}

//! A setting: a key of the configuration that cannot have the value that it has, and why.

/// What cannot work in a section.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct SettingError {
    /// The key's path.
    pub key: String,
    /// What is wrong with it. Never a secret.
    pub reason: String,
}

impl SettingError {
    /// With a key's path and what is wrong with it.
    pub fn new(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { key: key.into(), reason: reason.into() }
    }
}

/// Refuses the first limit or duration of a section that is 0; what is not set is none.
pub fn above_zero(section: &str, values: &[(&str, Option<u64>)]) -> Result<(), SettingError> {
    match values.iter().find(|(_, value)| *value == Some(0)) {
        Some((key, _)) => Err(SettingError::new(format!("{section}.{key}"), "must be above 0")),
        None => Ok(()),
    }
}

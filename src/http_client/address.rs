//! An address: where HTTP is spoken to, from what was typed, and as it may be seen.

use reqwest::Url;

/// An address as it may be seen: without credentials, and without a slash at its end.
#[must_use]
pub fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    // These fail for addresses that cannot have credentials, and those have none to hide.
    let _ = shown.set_username("").and_then(|()| shown.set_password(None));
    shown.to_string().trim_end_matches('/').to_owned()
}

/// What is no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressError {
    /// What was given, without credentials.
    pub shown: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The address of a server.
///
/// # Errors
/// When it is none that HTTP is spoken to.
pub fn address(text: &str) -> Result<Url, AddressError> {
    // What is before an @ may be a password, however wrong the rest is.
    let shown = text.rsplit('@').next().unwrap_or_default().to_owned();
    let wrong = |reason: String| AddressError { shown, reason };
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        Ok(_) => Err(wrong("it begins with neither http:// nor https://".to_owned())),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// The address of a server, written where it may be seen.
///
/// # Errors
/// When it is none, or holds credentials: then what is wrong with it, without them.
pub fn open_address(text: &str) -> Result<Url, String> {
    match address(text) {
        Ok(url) if url.username().is_empty() && url.password().is_none() => Ok(url),
        Ok(_) => Err("must be without credentials; they belong into http_config".to_owned()),
        Err(error) => Err(format!("{:?} is not an address ({})", error.shown, error.reason)),
    }
}

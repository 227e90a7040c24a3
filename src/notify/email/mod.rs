//! E-mail: tells mailboxes of alerts, through a server that speaks SMTP.
//!
//! In: notices. Out: one message on a connection of its own, and what became of it.
//!
//! | the server | what comes next |
//! |---|---|
//! | takes the message | it has been told, whatever happens to the connection afterwards |
//! | says 5xx of the message, its sender or its recipients | a refusal: the same would be refused again |
//! | says 4xx, is away, hangs, has no TLS or another's certificate | tried again soon |
//! | does not take the password (535 and the like) | tried again, too: that gets better by an operator's hand alone, who reads of it in the log; the alert is not to blame |
//!
//! All recipients are of one message: where the server refuses one of them, none gets it. Whoever must not
//! depend on others is an item of its own. Passwords are sent over TLS or to this machine only, and are in no
//! error.
//!
//! Source: RFC 5321 4.2.1 (replies), RFC 4954 6 (those of AUTH), RFC 3207 (STARTTLS).

mod config;
mod letter;

use std::path::Path;
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, Identity, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::{Instant, timeout_at};

use super::error::{Failure, NotifyError};
use super::notice::{Notice, clip};
use crate::files::read_whole;
use crate::http_client::{Secret, TlsConfig, innermost};
use config::{EmailParts, TlsStart};

pub use config::EmailConfig;

/// How long a server may take to say goodbye, which is mere politeness.
const GOODBYE: Duration = Duration::from_secs(1);

/// Bytes of a file of certificates, at most: as of an HTTP client.
const MAX_PEM_BYTES: u64 = 4 << 20;

/// Bytes of an answer that are shown: a reason is short.
const REASON_BYTES: usize = 400;

/// Replies that are about us and not about what is sent: authentication required, mechanism too weak,
/// credentials invalid, encryption required.
const ABOUT_US: [u16; 4] = [530, 534, 535, 538];

/// Who carries letters to one server.
pub(super) struct Mailer {
    parts: EmailParts,
    hello: ClientId,
    credentials: Option<(Credentials, Secret)>,
    tls: Option<TlsParameters>,
    timeout: Duration,
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer").field("parts", &self.parts).finish_non_exhaustive()
    }
}

impl Mailer {
    /// Reads the files of certificates; asks nobody yet. `name` says whose it is.
    ///
    /// # Errors
    /// When a key or a file cannot be used.
    pub fn new(
        config: &EmailConfig,
        password: Option<Secret>,
        timeout: Duration,
        name: impl Fn() -> String,
    ) -> Result<Self, NotifyError> {
        let wrong = |reason: String| NotifyError::Unusable { target: name(), reason };
        let parts = config.parts().map_err(|(key, reason)| wrong(format!("{key}: {reason}")))?;
        let tls = match parts.tls {
            TlsStart::Never => None,
            _ => Some(tls(&parts.host, &config.tls_config, &name)?),
        };
        let credentials = config.auth_username.clone().zip(password);
        let credentials = credentials.map(|(user, password)| {
            (Credentials::new(user, password.reveal().to_owned()), password)
        });
        let hello = ClientId::Domain(config.hello.clone());
        Ok(Self { parts, hello, credentials, tls, timeout })
    }

    /// Sends one message.
    ///
    /// # Errors
    /// Why it was not taken, as far as is known.
    pub async fn tell(&self, now_ms: i64, notices: &[Notice]) -> Result<(), Failure> {
        let EmailParts { from, to, .. } = &self.parts;
        let letter = letter::letter(from, to, now_ms, notices).map_err(|error| Failure {
            reason: format!("there is no such message: {error}"),
            is_refusal: true,
            wait: None,
        })?;
        let end = Instant::now() + self.timeout;
        let mut open = None;
        let Ok(told) = timeout_at(end, self.converse(&mut open, &letter)).await else {
            return Err(again(format!("no answer in {} s", self.timeout.as_secs_f64())));
        };
        if let Some(mut connection) = open {
            let _ = timeout_at(end.min(Instant::now() + GOODBYE), connection.quit()).await;
        }
        told
    }

    /// Connects, and hands the message over. The connection is left open for a goodbye.
    async fn converse(
        &self,
        open: &mut Option<AsyncSmtpConnection>,
        letter: &[u8],
    ) -> Result<(), Failure> {
        let EmailParts { from, to, .. } = &self.parts;
        let connection = open.insert(self.connect().await?);
        let mail = Mail::new(Some(from.email.clone()), Vec::new());
        let sent = connection.command(mail).await;
        sent.map_err(|error| self.failure("MAIL", true, &error))?;
        for mailbox in to {
            let sent = connection.command(Rcpt::new(mailbox.email.clone(), Vec::new())).await;
            sent.map_err(|error| self.failure(&format!("RCPT {}", mailbox.email), true, &error))?;
        }
        let sent = connection.command(Data).await;
        sent.map_err(|error| self.failure("DATA", true, &error))?;
        let sent = connection.message(letter).await;
        sent.map_err(|error| self.failure("the message", true, &error))?;
        Ok(())
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let EmailParts { host, port, tls: start, .. } = &self.parts;
        let at_once = self.tls.clone().filter(|_| *start == TlsStart::Connection);
        let connection = AsyncSmtpConnection::connect_tokio1(
            (host.as_str(), *port),
            Some(self.timeout),
            &self.hello,
            at_once,
            None,
        );
        let connection = connection.await;
        let mut connection =
            connection.map_err(|error| self.failure("the connection", false, &error))?;
        if let Some(tls) = self.tls.clone().filter(|_| *start == TlsStart::Command) {
            if !connection.can_starttls() {
                let reason = "the server offers no STARTTLS, without which nothing is sent";
                return Err(again(format!("{reason} (require_tls)")));
            }
            let begun = connection.starttls(tls, &self.hello).await;
            begun.map_err(|error| self.failure("STARTTLS", false, &error))?;
        }
        if let Some((credentials, _)) = &self.credentials {
            let known = connection.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await;
            known.map_err(|error| self.failure("AUTH", false, &error))?;
        }
        Ok(connection)
    }

    /// What a server says to something, without the password should it repeat that.
    fn failure(&self, what: &str, is_of_message: bool, error: &Error) -> Failure {
        let code = error.status().map(u16::from);
        let words = innermost(error);
        let words = match &self.credentials {
            Some((_, password)) if !password.reveal().is_empty() => {
                words.replace(password.reveal(), "<secret>")
            }
            _ => words,
        };
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let status = code.map_or(String::new(), |it| format!("status {it} "));
        let refused = |it: u16| it >= 500 && !ABOUT_US.contains(&it);
        Failure {
            reason: format!("{status}to {what}: {}", clip(&words, REASON_BYTES)),
            is_refusal: is_of_message && code.is_some_and(refused),
            wait: None,
        }
    }
}

/// What may be otherwise the next time.
fn again(reason: String) -> Failure {
    Failure { reason, is_refusal: false, wait: None }
}

fn tls(
    host: &str,
    config: &TlsConfig,
    name: &impl Fn() -> String,
) -> Result<TlsParameters, NotifyError> {
    let read = |path: &Path| {
        let bytes = read_whole(path, MAX_PEM_BYTES);
        bytes.map_err(|error| unusable(path, &error.to_string(), name))
    };
    let mut builder = TlsParameters::builder(host.to_owned())
        .dangerous_accept_invalid_certs(config.insecure_skip_verify)
        .dangerous_accept_invalid_hostnames(config.insecure_skip_verify);
    if let Some(path) = &config.ca_file {
        let pem = read(path)?;
        let found: Vec<_> = CertificateDer::pem_slice_iter(&pem).flatten().collect();
        if found.is_empty() {
            return Err(unusable(path, "it holds no certificate", name));
        }
        builder = builder.certificate_store(CertificateStore::None);
        for certificate in found {
            let certificate = Certificate::from_der(certificate.to_vec());
            let certificate =
                certificate.map_err(|error| unusable(path, &innermost(&error), name))?;
            builder = builder.add_root_certificate(certificate);
        }
    }
    if config.insecure_skip_verify {
        // Nobody looks at the system's.
        builder = builder.certificate_store(CertificateStore::None);
    }
    if let (Some(path), Some(key)) = (&config.cert_file, &config.key_file) {
        let identity = Identity::from_pem(&read(path)?, &read(key)?).map_err(|_| {
            unusable(path, "it and key_file do not hold a certificate and its key in PEM", name)
        })?;
        builder = builder.identify_with(identity);
    }
    builder.build().map_err(|error| NotifyError::Unusable {
        target: name(),
        reason: format!("tls_config: {}", innermost(&error)),
    })
}

fn unusable(path: &Path, reason: &str, name: &impl Fn() -> String) -> NotifyError {
    NotifyError::File {
        target: name(),
        path: path.display().to_string(),
        reason: reason.to_owned(),
    }
}

//! Logging: where `tracing`'s events go, and in what shape.
//!
//! One line an event on standard error: `ts`, `level` and `msg`, then what the event has beside them, in the
//! same order and under the same names as logfmt and as JSON. Values are hostile input (label values, bodies
//! of other servers): both formats escape line breaks and control characters, so one event is one line and no
//! terminal obeys it.
//!
//! Source: the quoting of Go's `log/slog`, with which Prometheus 3 logs: a value is quoted if it is empty or has
//! a space, a quotation mark, an equals sign or what cannot be printed. Escapes are those of JSON.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::timestamp;

/// What `tracing` calls the sentence of an event.
const MESSAGE: &str = "message";

/// The least severe events that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What an operator may want to know.
    Info,
    /// What an operator should look at.
    Warn,
    /// What does not work.
    Error,
}

/// The shape of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// `ts=… level=info msg=… key=value`
    Logfmt,
    /// One JSON object with the same keys: `ts`, `level`, `msg`
    Json,
}

/// Starts logging for the rest of the process.
pub fn start(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    // Libraries tell their inner life at info and debug; an operator wants ours.
    let filter =
        Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("portent", level);
    let layer = lines(format, std::io::stderr).with_filter(filter);
    tracing_subscriber::registry().with(layer).init();
}

fn lines<W>(format: LogFormat, writer: W) -> impl Layer<Registry>
where
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer().event_format(Lines(format)).with_writer(writer)
}

/// Writes events as lines of a format.
struct Lines(LogFormat);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG | Level::TRACE => "debug",
        };
        let text = |text: &str| Value::Text(text.to_owned());
        let head =
            [("ts", text(&now())), ("level", text(level)), ("msg", Value::Text(said.message))];
        let fields = head.into_iter().chain(said.fields).enumerate();
        match self.0 {
            LogFormat::Logfmt => {
                for (i, (key, value)) in fields {
                    write!(writer, "{}{key}=", if i == 0 { "" } else { " " })?;
                    value.write_logfmt(&mut writer)?;
                }
                writeln!(writer)
            }
            LogFormat::Json => {
                for (i, (key, value)) in fields {
                    write!(writer, "{}\"{key}\":", if i == 0 { "{" } else { "," })?;
                    value.write_json(&mut writer)?;
                }
                writeln!(writer, "}}")
            }
        }
    }
}

/// RFC 3339 in UTC, with milliseconds.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let text = timestamp::format_ms(i64::try_from(since.as_millis()).unwrap_or_default());
    match text.strip_suffix('Z') {
        // All lines have the same width up to here.
        Some(seconds) if !seconds.contains('.') => format!("{seconds}.000Z"),
        _ => text,
    }
}

/// What an event has beside its time and its level.
#[derive(Default)]
struct Said {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

/// The value of a field.
enum Value {
    Text(String),
    /// A number or a truth value, as both formats write it.
    Bare(String),
}

impl Value {
    fn write_logfmt(&self, writer: &mut Writer<'_>) -> fmt::Result {
        match self {
            Self::Bare(text) => writer.write_str(text),
            Self::Text(text) if text.is_empty() || text.chars().any(needs_quotes) => {
                write_quoted(text, writer)
            }
            Self::Text(text) => writer.write_str(text),
        }
    }

    fn write_json(&self, writer: &mut Writer<'_>) -> fmt::Result {
        match self {
            Self::Bare(text) => writer.write_str(text),
            Self::Text(text) => write_quoted(text, writer),
        }
    }
}

fn needs_quotes(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '=') || is_unprintable(c)
}

/// What a terminal obeys or does not show: control characters, and those that turn or join text.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

fn write_quoted(text: &str, writer: &mut Writer<'_>) -> fmt::Result {
    writer.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => writer.write_str("\\\"")?,
            '\\' => writer.write_str("\\\\")?,
            '\n' => writer.write_str("\\n")?,
            '\r' => writer.write_str("\\r")?,
            '\t' => writer.write_str("\\t")?,
            // All of these have four digits at most.
            c if is_unprintable(c) => write!(writer, "\\u{:04x}", u32::from(c))?,
            c => writer.write_char(c)?,
        }
    }
    writer.write_char('"')
}

impl Said {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            (MESSAGE, Value::Text(text) | Value::Bare(text)) => self.message = text,
            (name, value) => self.fields.push((name.trim_start_matches("r#"), value)),
        }
    }
}

impl Visit for Said {
    fn record_f64(&mut self, field: &Field, value: f64) {
        let text = value.to_string();
        // JSON has no number for those that are not finite.
        self.put(field, if value.is_finite() { Value::Bare(text) } else { Value::Text(text) });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Bare(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Bare(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Bare(value.to_string()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(value.to_owned()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, Value::Text(value.to_string()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::Text(format!("{value:?}")));
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    struct Line(Sender<Vec<u8>>);

    impl std::io::Write for Line {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(std::io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, log: impl FnOnce()) -> String {
        let (sender, receiver) = channel();
        let subscriber =
            tracing_subscriber::registry().with(lines(format, move || Line(sender.clone())));
        tracing::subscriber::with_default(subscriber, log);
        let bytes: Vec<u8> = receiver.try_iter().flatten().collect();
        String::from_utf8(bytes).expect("text")
    }

    fn an_event() {
        tracing::warn!(a = "b=c", n = 7, x = 0.5, nan = f64::NAN, on = true, of = "", "two words");
    }

    #[test]
    fn logfmt_has_the_keys_of_prometheus() {
        let line = logged(LogFormat::Logfmt, an_event);
        let (ts, rest) = line.split_once(' ').expect("fields");
        let ts = ts.strip_prefix("ts=").expect("a time first");
        assert_eq!((ts.len(), timestamp::parse_ms(ts).is_ok()), (24, true), "{ts}");
        let expected = "level=warn msg=\"two words\" a=\"b=c\" n=7 x=0.5 nan=NaN on=true of=\"\"\n";
        assert_eq!(rest, expected);
        let line = logged(LogFormat::Logfmt, || tracing::info!("ready"));
        assert!(line.ends_with("Z level=info msg=ready\n"), "{line}");
    }

    #[test]
    fn json_has_the_same_keys_side_by_side() {
        let line = logged(LogFormat::Json, an_event);
        assert!(line.starts_with("{\"ts\":\"") && line.ends_with("}\n"), "{line}");
        let mut json: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let ts = json.as_object_mut().expect("an object").remove("ts").expect("a time");
        assert!(timestamp::parse_ms(ts.as_str().expect("text")).is_ok(), "{ts}");
        let expected = serde_json::json!({
            "level": "warn", "msg": "two words", "a": "b=c", "n": 7, "x": 0.5, "nan": "NaN", "on": true,
            "of": ""
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn a_hostile_value_stays_on_its_line() {
        let value = "a\nlevel=error\u{1b}[31m\u{9b}1m\u{202e}\"\\";
        for format in [LogFormat::Logfmt, LogFormat::Json] {
            let text = logged(format, || tracing::info!(series = value, "kept"));
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            let obeyed = |c: char| c != '\n' && is_unprintable(c);
            assert!(!text.contains(obeyed), "{text:?}");
            assert!(text.contains("level") && text.contains("info"), "{text:?}");
        }
        let line = logged(LogFormat::Json, || tracing::info!(series = value, "kept"));
        let json: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(json["series"], value);
    }
}

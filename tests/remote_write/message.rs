//! Requests of both versions, byte by byte, so that what no encoder writes can be written as well.

use portent::sample::Sample;

use super::second::{V2, written};
use super::{NOW_MS, Server, V1, judge};

/// Which message a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    First,
    Second,
}

/// What is said of both is tried with both.
pub const BOTH: [Version; 2] = [Version::First, Version::Second];

/// A text on the wire, which should be UTF-8.
pub type Text<'a> = &'a [u8];

/// A series as a test writes it.
#[derive(Debug, Clone, Default)]
pub struct Sent<'a> {
    pub labels: Vec<(Text<'a>, Text<'a>)>,
    /// Milliseconds since the epoch, and values.
    pub samples: Vec<(i64, f64)>,
    /// Encoded: both versions have the same message.
    pub histograms: Vec<Vec<u8>>,
    /// Names and values of labels.
    pub exemplars: Vec<Vec<(&'a str, &'a str)>>,
}

impl<'a> Sent<'a> {
    pub fn new(labels: &[(&'a str, &'a str)], samples: &[(i64, f64)]) -> Self {
        let bytes = labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        Self { labels: bytes.collect(), samples: samples.to_vec(), ..Self::default() }
    }

    /// A series called `up` with a sample of now.
    pub fn up() -> Self {
        Self::new(&[("__name__", "up")], &[(NOW_MS, 1.0)])
    }
}

pub fn number(value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(value, &mut bytes);
    bytes
}

/// A field that is a text, a message or packed numbers.
pub fn field(at: u64, content: &[u8]) -> Vec<u8> {
    [&number(at << 3 | 2)[..], &number(content.len() as u64), content].concat()
}

/// A field that is a number.
pub fn varint(at: u64, value: u64) -> Vec<u8> {
    [number(at << 3), number(value)].concat()
}

/// A field that is a `double`.
pub fn double(at: u64, value: f64) -> Vec<u8> {
    [&number(at << 3 | 1)[..], &value.to_le_bytes()].concat()
}

/// A sample, with what an encoder leaves out because it is zero. Both versions write it alike.
pub fn sample(time_ms: i64, value: f64) -> Vec<u8> {
    [double(1, value), varint(2, time_ms.cast_unsigned())].concat()
}

pub fn label(name: Text<'_>, value: Text<'_>) -> Vec<u8> {
    [field(1, name), field(2, value)].concat()
}

pub fn snappy(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).expect("it is short")
}

/// The symbols of a table: numbers by texts. The first is empty.
struct Symbols<'a>(Vec<Text<'a>>);

impl<'a> Symbols<'a> {
    fn of(&mut self, text: Text<'a>) -> u64 {
        let found = self.0.iter().position(|it| *it == text);
        found.unwrap_or_else(|| {
            self.0.push(text);
            self.0.len() - 1
        }) as u64
    }
}

impl Version {
    pub fn headers(self) -> &'static str {
        match self {
            Self::First => V1,
            Self::Second => V2,
        }
    }

    /// The number of the field that holds a series.
    pub fn series(self) -> u64 {
        match self {
            Self::First => 1,
            Self::Second => 5,
        }
    }

    /// The numbers of the fields of a series that hold a histogram and an exemplar.
    pub fn histogram(self) -> u64 {
        match self {
            Self::First => 4,
            Self::Second => 3,
        }
    }

    pub fn exemplar(self) -> u64 {
        match self {
            Self::First => 3,
            Self::Second => 4,
        }
    }

    pub fn message(self, all: &[Sent<'_>]) -> Vec<u8> {
        let mut symbols = Symbols(vec![b""]);
        let mut series = Vec::new();
        for one in all {
            let mut inner = Vec::new();
            match self {
                Self::First => {
                    let labels = one.labels.iter().map(|(name, value)| label(name, value));
                    labels.for_each(|it| inner.extend(field(1, &it)));
                }
                Self::Second => {
                    let refs = one.labels.iter().flat_map(|(name, value)| [*name, *value]);
                    inner.extend(field(1, &packed(refs, &mut symbols)));
                }
            }
            one.samples.iter().for_each(|it| inner.extend(field(2, &sample(it.0, it.1))));
            one.histograms.iter().for_each(|it| inner.extend(field(self.histogram(), it)));
            for exemplar in &one.exemplars {
                let pairs =
                    exemplar.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
                let mut content = Vec::new();
                match self {
                    Self::First => {
                        pairs.for_each(|(name, value)| {
                            content.extend(field(1, &label(name, value)))
                        });
                        content
                            .extend([double(2, 1.0), varint(3, NOW_MS.cast_unsigned())].concat());
                    }
                    Self::Second => {
                        let refs = pairs.flat_map(|(name, value)| [name, value]);
                        content.extend(field(1, &packed(refs, &mut symbols)));
                        content
                            .extend([double(2, 1.0), varint(3, NOW_MS.cast_unsigned())].concat());
                    }
                }
                inner.extend(field(self.exemplar(), &content));
            }
            series.extend(field(self.series(), &inner));
        }
        match self {
            Self::First => series,
            Self::Second => {
                let table = symbols.0.iter().flat_map(|it| field(4, it));
                table.chain(series).collect()
            }
        }
    }

    pub fn body(self, all: &[Sent<'_>]) -> Vec<u8> {
        snappy(&self.message(all))
    }
}

fn packed<'a>(texts: impl Iterator<Item = Text<'a>>, symbols: &mut Symbols<'a>) -> Vec<u8> {
    texts.flat_map(|it| number(symbols.of(it))).collect()
}

/// What a request comes to.
pub struct Expected<'a> {
    pub status: u16,
    /// What an answer of 2.0 counts: samples, histograms, exemplars.
    pub counts: [u64; 3],
    pub sentence: &'a str,
    /// Series in the rings, as text, with times after `NOW_MS` and values.
    pub stored: &'a [(&'a str, &'a [(i64, f64)])],
}

/// The answer to a message, and what is in the rings then. An answer of 2.0 counts, one of 1.0 does not.
pub async fn check_message(
    server: &Server,
    version: Version,
    message: &[u8],
    expected: &Expected<'_>,
) {
    let reply = server.post(version.headers(), &snappy(message)).await;
    let context = format!("{version:?}: {reply:?}, and not {}", expected.sentence);
    assert_eq!(reply.status, expected.status, "{context}");
    judge(&reply, expected.status, expected.sentence);
    let counts = (version == Version::Second).then_some(expected.counts);
    assert_eq!(written(&reply), counts, "{context}");
    let stored = expected.stored.iter().map(|(labels, samples)| {
        let sample = |(after, value): &(i64, f64)| Sample::new(NOW_MS + after, *value);
        ((*labels).to_owned(), samples.iter().map(sample).collect::<Vec<_>>())
    });
    assert_eq!(server.stored().await, stored.collect::<Vec<_>>(), "{context}");
}

/// Both versions, each with a server that has nothing yet.
pub async fn check(all: &[Sent<'_>], expected: &Expected<'_>) {
    for version in BOTH {
        check_message(&Server::usual().await, version, &version.message(all), expected).await;
    }
}

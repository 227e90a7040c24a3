//! Written: how much of a request was taken in, as headers tell it.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

const SAMPLES: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// What of a request was taken in, what was there already and what nobody wants included.
/// Source: remote-write specification 2.0 "Required Written Response Headers".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) samples: u64,
    pub(super) histograms: u64,
    pub(super) exemplars: u64,
}

impl Written {
    /// Puts it into the headers of an answer. A sender of 1.0 must not see them.
    pub(super) fn put(self, headers: &mut HeaderMap) {
        for (name, count) in
            [(SAMPLES, self.samples), (HISTOGRAMS, self.histograms), (EXEMPLARS, self.exemplars)]
        {
            headers.insert(name, HeaderValue::from(count));
        }
    }
}

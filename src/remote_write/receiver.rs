//! The receiver: takes one request from its headers to its answer.

use std::error::Error;
use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use hyper::header::CONTENT_LENGTH;
use hyper::{Method, Request, Response, StatusCode};
use metrics::{counter, describe_counter, describe_gauge, gauge};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::decode::{Decoded, Invalid, declared_bytes, decode, decode_message};
use super::in_flight::{InFlight, Permit};
use super::refusal::{Partial, Unavailable};
use super::written::Written;
use super::{Protocol, Refusal, RemoteWriteConfig, negotiate, zstd};
use crate::retry::Attempt;
use crate::sample::Batch;
use crate::series::{Demand, Outcome};

/// A body that decompresses to more than this is decoded on a thread of its own, so that it does
/// not hold up other requests: with series of sixty labels, a millisecond of work.
const INLINE_DECODE_BYTES: usize = 64 << 10;

type BoxError = Box<dyn Error + Send + Sync>;

/// What all requests of a process share, whatever configuration they are taken by.
#[derive(Debug, Clone)]
pub struct ReceiverBudget {
    /// The memory that they hold.
    pub in_flight: InFlight,
    /// Who decodes: as many as there are cores, since more would only hold more memory at a time, each what it
    /// decompresses and its thread.
    decoders: Arc<Semaphore>,
}

impl Default for ReceiverBudget {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self { in_flight: InFlight::default(), decoders: Arc::new(Semaphore::new(cores)) }
    }
}

/// Takes requests within the limits of one configuration.
#[derive(Debug)]
pub struct Receiver {
    config: Arc<RemoteWriteConfig>,
    body_timeout: Duration,
    /// What is wanted, once that is known.
    demand: Option<Arc<Demand>>,
    budget: ReceiverBudget,
}

impl Receiver {
    /// A receiver with its limits, the time that a body may take to arrive, and what it shares with those
    /// before it.
    #[must_use]
    pub fn new(config: RemoteWriteConfig, body_timeout: Duration, budget: ReceiverBudget) -> Self {
        Self { budget, config: Arc::new(config), body_timeout, demand: None }
    }

    /// The receiver, told what is wanted: a series that breaks a limit does no harm if it is not.
    #[must_use]
    pub fn for_demand(self, demand: Arc<Demand>) -> Self {
        Self { demand: Some(demand), ..self }
    }

    /// What is wanted, to be read.
    #[must_use]
    pub fn wanted(&self) -> Vec<String> {
        self.demand.as_ref().map_or_else(Vec::new, |it| it.names())
    }

    /// What the next receiver shares with it.
    #[must_use]
    pub fn budget(&self) -> ReceiverBudget {
        self.budget.clone()
    }

    /// Answers a request; `append` is called once with what is good in it, and with the permit for the
    /// memory that this takes. The extension [`InFlight`] of a request, if there is one, is what requests of
    /// its peer hold.
    pub async fn receive(
        &self,
        request: Request<impl Body<Data = Bytes, Error: Into<BoxError>> + Unpin>,
        append: impl AsyncFnOnce(Batch, Permit) -> Result<Outcome, Unavailable>,
    ) -> (Response<Full<Bytes>>, Option<Refusal>) {
        let attempt = Attempt::of(request.headers());
        let mut written = None;
        let refusal = self.take(request, append, &mut written).await.err();
        let outcome = refusal.as_ref().map_or("ok", Refusal::reason);
        counter!("portent_remote_write_requests_total", "outcome" => outcome).increment(1);
        let mut response = match &refusal {
            Some(refusal) => refusal.response(attempt.retry_after()),
            None => no_content(),
        };
        if let Some(written) = written {
            written.put(response.headers_mut());
        }
        (response, refusal)
    }

    /// `written` is for a request of 2.0, which is told it whatever becomes of it.
    async fn take(
        &self,
        request: Request<impl Body<Data = Bytes, Error: Into<BoxError>> + Unpin>,
        append: impl AsyncFnOnce(Batch, Permit) -> Result<Outcome, Unavailable>,
        written: &mut Option<Written>,
    ) -> Result<(), Refusal> {
        if request.method() != Method::POST {
            return Err(Refusal::Method);
        }
        let protocol = negotiate(request.headers())?;
        *written = (protocol == Protocol::V2).then(Written::default);
        let declared =
            request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        let mut reserved =
            self.budget.in_flight.begin(request.extensions().get::<InFlight>().cloned());
        let body = self.read(request.into_body(), declared, &mut reserved).await?;
        counter!("portent_remote_write_received_bytes_total").increment(body.len() as u64);
        // What zstd decompresses to is reserved as it does.
        if !zstd::is_frame(&body) {
            self.reserve(&mut reserved, declared_bytes(&body, &self.config)?)?;
        }
        let (decoded, reserved) = self.decode(body, protocol, reserved).await?;
        let Decoded { batch, invalid, unneeded, unneeded_histograms, unused } = decoded;
        for (kind, count) in [("metadata", unused.metadata), ("exemplar", unused.exemplars)] {
            counter!("portent_remote_write_ignored_total", "kind" => kind).increment(count);
        }
        for (kind, count) in [("exemplar", invalid.exemplars), ("histogram", invalid.histograms)] {
            counter!("portent_remote_write_invalid_total", "kind" => kind).increment(count);
        }
        let good = batch.samples() as u64 + unneeded;
        let good_exemplars =
            batch.exemplars() as u64 + unused.exemplars.saturating_sub(unused.unfit_exemplars);
        let good_histograms = batch.histograms() as u64 + unneeded_histograms;
        // The good part goes in even when the rest is refused.
        let metadata = batch.metadata.len() as u64;
        let has_series = !batch.series.is_empty();
        let mut outcome = if has_series || metadata > 0 {
            match append(batch, reserved).await {
                Ok(outcome) => outcome,
                Err(unavailable) if has_series => return Err(Refusal::Unavailable(unavailable)),
                // Its sender says it again in a minute.
                Err(_) => Outcome { metadata_ignored: metadata, ..Outcome::default() },
            }
        } else {
            Outcome::default()
        };
        counter!("portent_remote_write_ignored_total", "kind" => "metadata")
            .increment(outcome.metadata_ignored);
        outcome.unneeded += unneeded + unneeded_histograms;
        judge_exemplars(protocol, &mut outcome);
        count_outcome(&outcome, invalid.samples);
        let unwritten = outcome.exemplars_too_new + outcome.exemplars_out_of_order;
        if let Some(written) = written {
            let rejected = outcome.rejected().saturating_sub(outcome.histograms_rejected);
            *written = Written {
                samples: good.saturating_sub(rejected),
                histograms: good_histograms.saturating_sub(outcome.histograms_rejected),
                exemplars: good_exemplars.saturating_sub(unwritten),
            };
        }
        let refused = outcome.rejected() + outcome.exemplars_out_of_order;
        if refused == 0 && invalid == Invalid::default() {
            return Ok(());
        }
        let total = good + good_histograms + invalid.samples;
        Err(Refusal::Partial(Box::new(Partial { total, outcome, invalid })))
    }

    /// Reads a body within the limits on size, memory and time.
    async fn read(
        &self,
        mut body: impl Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
        declared: Option<u64>,
        reserved: &mut Permit,
    ) -> Result<Bytes, Refusal> {
        let limit = self.config.max_body_bytes;
        if declared.is_some_and(|length| length > limit.as_bytes()) {
            return Err(Refusal::BodyTooLarge(limit));
        }
        // Not half of it first. What is only claimed takes nothing from others.
        let claimed = declared.map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
        reserved.has_room(claimed, self.config.in_flight_limits())?;
        let deadline = Instant::now() + self.body_timeout;
        let mut read = Vec::new();
        loop {
            let frame = match timeout_at(deadline, body.frame()).await {
                Err(_) => return Err(Refusal::BodyTimeout),
                Ok(None) => return Ok(read.into()),
                Ok(Some(Err(error))) => return Err(broken(error.into().as_ref())),
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if (read.len() + data.len()) as u64 > limit.as_bytes() {
                return Err(Refusal::BodyTooLarge(limit));
            }
            // Room is made here, so that all of it is counted.
            if read.capacity() - read.len() < data.len() {
                let room = data.len().max(read.len() / 2);
                self.reserve(reserved, read.len() + room - read.capacity())?;
                read.reserve_exact(room);
            }
            read.extend_from_slice(&data);
        }
    }

    /// Decodes a body. Whoever does it holds the permit, since a thread goes on when the request is gone.
    async fn decode(
        &self,
        body: Bytes,
        protocol: Protocol,
        mut reserved: Permit,
    ) -> Result<(Decoded, Permit), Refusal> {
        let (config, demand) = (Arc::clone(&self.config), self.demand.clone());
        let is_zstd = zstd::is_frame(&body);
        let is_small = !is_zstd && declared_bytes(&body, &config)? <= INLINE_DECODE_BYTES;
        let decode = move || {
            let decoded = if is_zstd {
                let (limit, limits) = (config.max_decoded_bytes, config.in_flight_limits());
                let message = zstd::decompress(&body, limit, &mut reserved, limits)?;
                decode_message(&message, protocol, &config, demand.as_deref())?
            } else {
                decode(&body, protocol, &config, demand.as_deref())?
            };
            drop(body);
            reserved.become_bytes(decoded.batch.bytes());
            Ok((decoded, reserved))
        };
        if is_small {
            return decode();
        }
        let decoder = Arc::clone(&self.budget.decoders).acquire_owned().await;
        let decoder = decoder.map_err(|_| Refusal::Unavailable(Unavailable::ShuttingDown))?;
        let decode = move || {
            let decoded = decode();
            drop(decoder);
            decoded
        };
        tokio::task::spawn_blocking(decode)
            .await
            .unwrap_or(Err(Refusal::Unavailable(Unavailable::ShuttingDown)))
    }

    fn reserve(&self, reserved: &mut Permit, bytes: usize) -> Result<(), Refusal> {
        Ok(reserved.grow(bytes, self.config.in_flight_limits())?)
    }

    /// Shows how much of the memory for requests is in use.
    pub fn observe(&self) {
        gauge!("portent_remote_write_in_flight_bytes").set(self.budget.in_flight.bytes() as f64);
    }
}

/// Why a body cannot be read to its end; one that comes too slowly says so by its kind.
fn broken(error: &(dyn Error + Send + Sync + 'static)) -> Refusal {
    match error.downcast_ref::<io::Error>() {
        Some(slow) if slow.kind() == io::ErrorKind::TimedOut => Refusal::BodySlow(slow.to_string()),
        _ => Refusal::BodyBroken(error.to_string()),
    }
}

fn no_content() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Exemplars out of order break a rule of 2.0; no exemplar makes a request of 1.0 fail.
fn judge_exemplars(protocol: Protocol, outcome: &mut Outcome) {
    match protocol {
        Protocol::V1 => (outcome.exemplars_out_of_order, outcome.late_exemplar) = (0, None),
        Protocol::V2 => {
            let invalid = outcome.exemplars_out_of_order;
            outcome.exemplars_ignored = outcome.exemplars_ignored.saturating_sub(invalid);
            counter!("portent_remote_write_invalid_total", "kind" => "exemplar").increment(invalid);
        }
    }
}

fn count_outcome(outcome: &Outcome, invalid: u64) {
    for (outcome, count) in [
        ("stored", outcome.stored),
        ("duplicate", outcome.duplicate),
        ("unneeded", outcome.unneeded),
        ("deduplicated", outcome.deduplicated),
        ("too_old", outcome.too_old),
        ("too_new", outcome.too_new),
        ("conflicting", outcome.conflicting),
        ("over_limit", outcome.over_limit),
        ("deferred", outcome.deferred),
        ("invalid", invalid),
    ] {
        counter!("portent_remote_write_samples_total", "outcome" => outcome).increment(count);
    }
    let ignored = counter!("portent_remote_write_ignored_total", "kind" => "exemplar");
    ignored.increment(outcome.exemplars_ignored);
}

/// Counts a request that was dropped before its samples were looked at.
pub fn count_abandoned() {
    counter!("portent_remote_write_abandoned_requests_total").increment(1);
}

/// Says what this room's metrics mean.
pub fn describe_metrics() {
    describe_counter!(
        "portent_remote_write_requests_total",
        "Remote-write requests by outcome: ok, partial, or the reason of the refusal."
    );
    describe_counter!(
        "portent_remote_write_samples_total",
        "Received samples, floats and native histograms, by outcome: stored, duplicate, unneeded and deduplicated (another replica \
         of the sender is heard) are successes."
    );
    describe_counter!(
        "portent_remote_write_received_bytes_total",
        "Bytes of request bodies as they arrived."
    );
    describe_counter!(
        "portent_remote_write_ignored_total",
        "Parts of requests that are taken in and not used, by kind. Metadata: of metric families without kept \
         series, without a name, no text or beyond a limit. Exemplars: too long, too many or too old, of series \
         that are not kept, of a replica that is not heard, or too far ahead."
    );
    describe_counter!(
        "portent_remote_write_invalid_total",
        "Parts of requests that break a rule or a limit and are answered with 400, by kind. Samples are \
         counted in portent_remote_write_samples_total."
    );
    describe_counter!(
        "portent_remote_write_abandoned_requests_total",
        "Requests that were dropped unread: when their turn came, the sender had already been \
         told to try again."
    );
    describe_gauge!(
        "portent_remote_write_in_flight_bytes",
        "Memory reserved for request bodies and what they decompress to."
    );
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Waker};

    use prost::Message;
    use tokio::runtime;
    use tokio::task::spawn_blocking;

    use super::*;
    use crate::proto::prometheus::{Label, MetricMetadata, Sample, TimeSeries, WriteRequest};

    /// A request of so many series of 1,000 bytes, and what it takes: its body and what that decompresses to.
    fn request(series: usize) -> (Request<Full<Bytes>>, usize) {
        let label = |name: &str, value: String| Label { name: name.into(), value: value.into() };
        let one = |i: usize| TimeSeries {
            labels: vec![
                label("__name__", "m".to_owned()),
                label("host", format!("{i:06}{}", "h".repeat(994))),
            ],
            samples: vec![Sample { value: 1.0, timestamp: 1 }],
        };
        let metadata = Vec::new();
        of(&WriteRequest { timeseries: (0..series).map(one).collect(), metadata })
    }

    fn of(message: &WriteRequest) -> (Request<Full<Bytes>>, usize) {
        let message = message.encode_to_vec();
        let body = snap::raw::Encoder::new().compress_vec(&message).expect("it is short");
        let bytes = body.len() + message.len();
        let request = Request::post("/api/v1/write")
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "snappy")
            .body(Full::new(Bytes::from(body)))
            .expect("a request");
        (request, bytes)
    }

    /// A sender leaves while its body waits for the only thread that decodes.
    #[test]
    fn what_is_decoded_for_nobody_counts_until_it_is_decoded() {
        let runtime = runtime::Builder::new_current_thread()
            .enable_time()
            .max_blocking_threads(1)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let (release, held) = mpsc::channel::<()>();
            let _holds_the_thread = spawn_blocking(move || held.recv());
            let budget = ReceiverBudget::default();
            let in_flight = budget.in_flight.clone();
            let receiver =
                Receiver::new(RemoteWriteConfig::default(), Duration::from_secs(10), budget);
            let (request, bytes) = request(100);
            assert!(bytes > INLINE_DECODE_BYTES);
            {
                let append = async |_: Batch, _: Permit| unreachable!("the sender has left");
                let mut receive = pin!(receiver.receive(request, append));
                // All of the body is there, so one step leads to the thread's queue.
                let step = receive.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert!(step.is_pending());
                assert_eq!(in_flight.bytes(), bytes);
            }
            assert_eq!(in_flight.bytes(), bytes, "it is still to be decoded");
            release.send(()).expect("the thread waits for it");
            // What comes next on that thread comes after the decoding.
            spawn_blocking(|| ()).await.expect("it ends");
            assert_eq!(in_flight.bytes(), 0);
        });
    }

    /// A body becomes a batch, which is larger, and is counted as that.
    #[tokio::test]
    async fn the_queue_holds_what_a_batch_takes() {
        let budget = ReceiverBudget::default();
        let in_flight = budget.in_flight.clone();
        let config = RemoteWriteConfig::default();
        let receiver = Receiver::new(config, Duration::from_secs(10), budget);
        for series in [10, 1_000] {
            let (request, bytes) = request(series);
            let append = async |batch: Batch, permit: Permit| {
                assert_eq!(in_flight.bytes(), batch.bytes());
                assert!(batch.bytes() > series * 1_000 && in_flight.bytes() != bytes);
                drop((batch, permit));
                assert_eq!(in_flight.bytes(), 0);
                Ok(Outcome::default())
            };
            let (response, refusal) = receiver.receive(request, append).await;
            assert_eq!(response.status(), StatusCode::NO_CONTENT, "{refusal:?}");
        }
    }

    /// It reaches whoever keeps it, and is a success even if nobody can take it: it comes again.
    #[tokio::test]
    async fn metadata_alone_never_fails() {
        let metric_family_name = "up".to_owned();
        let one = MetricMetadata { metric_family_name, ..MetricMetadata::default() };
        let message = WriteRequest { timeseries: Vec::new(), metadata: vec![one] };
        let budget = ReceiverBudget::default();
        let in_flight = budget.in_flight.clone();
        let config = RemoteWriteConfig::default();
        let receiver = Receiver::new(config, Duration::from_secs(10), budget);
        for answer in [Ok(Outcome::default()), Err(Unavailable::Starting)] {
            let mut came = 0;
            let append = async |batch: Batch, permit: Permit| {
                assert_eq!(in_flight.bytes(), batch.bytes());
                came = batch.metadata.len();
                drop(permit);
                answer.clone()
            };
            let (response, refusal) = receiver.receive(of(&message).0, append).await;
            assert_eq!((response.status(), came), (StatusCode::NO_CONTENT, 1), "{refusal:?}");
        }
    }

    /// Who waits to be decoded holds its body, and no more.
    #[tokio::test]
    async fn as_many_are_decoded_at_a_time_as_there_are_cores() {
        let budget = ReceiverBudget::default();
        let decoders = Arc::clone(&budget.decoders);
        let cores = decoders.available_permits();
        let all = decoders.acquire_many(u32::try_from(cores).expect("few")).await.expect("open");
        let in_flight = budget.in_flight.clone();
        let config = RemoteWriteConfig::default();
        let receiver = Receiver::new(config, Duration::from_secs(10), budget.clone());
        let (request, bytes) = request(1_000);
        let mut receive =
            pin!(receiver.receive(request, async |_: Batch, _: Permit| Ok(Outcome::default())));
        let step = receive.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(step.is_pending());
        assert_eq!(in_flight.bytes(), bytes);
        drop(all);
        assert_eq!(receive.await.0.status(), StatusCode::NO_CONTENT);
        assert_eq!(budget.decoders.available_permits(), cores);
    }
}

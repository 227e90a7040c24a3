//! The door: which of the places a new connection takes, or none.
//!
//! In: the limits, and the address of a connection that has been accepted. Out: a seat, which gives its
//! place and the peer's share back when it is dropped; or why there is none. There are
//! `web.max_connections` places for whatever is asked, and beyond them the reserve, on which only what is
//! asked about the program itself is answered, and all else is told at once to come again. Whoever has no
//! share of the former any more is on the reserve as well, and when its share of that is used up it is sent
//! away unheard.
//!
//! Invariants: nobody waits for another's slow request; a peer cannot take all places of either kind,
//! unless it may have all by the configuration.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONNECTION, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use metrics::counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::WebConfig;
use super::answer::head_and_text;
use super::peers::{Connection, Peers};
use crate::response::text;
use crate::retry::Attempt;

/// Connections whose end is awaited for a moment after they were sent away, so that they get to read why.
/// With more than these at one time it is a flood, of which each costs as little as can be.
const MAX_LINGERING: usize = 64;

/// Why a request is not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Busy {
    /// All places are taken.
    Full,
    /// The peer's share of them is.
    Peer,
}

/// A place with what its peer holds of it.
#[derive(Debug)]
pub(super) struct Seat {
    _place: OwnedSemaphorePermit,
    _connection: Connection,
    bytes: Arc<AtomicUsize>,
    busy: Option<Busy>,
}

/// The places.
#[derive(Debug)]
pub(super) struct Door {
    places: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
    lingering: Arc<Semaphore>,
    peers: Peers,
    per_peer: usize,
    reserved_per_peer: usize,
}

impl Door {
    pub(super) fn new(config: &WebConfig) -> Self {
        let semaphore =
            |places: usize| Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Self {
            places: semaphore(config.max_connections),
            reserve: semaphore(config.reserved_connections),
            lingering: semaphore(MAX_LINGERING),
            peers: Peers::default(),
            per_peer: config.connections_per_peer(),
            reserved_per_peer: config.reserved_connections.div_ceil(2),
        }
    }

    /// Returns when there is a place of either kind; nobody but [`Door::admit`] takes any.
    pub(super) async fn room(&self) {
        if self.places.available_permits() == 0 && self.reserve.available_permits() == 0 {
            counter!("portent_http_connections_limited_total").increment(1);
        }
        tokio::select! {
            place = self.places.acquire() => drop(place),
            place = self.reserve.acquire() => drop(place),
        }
    }

    /// A seat for a connection from this address.
    pub(super) fn admit(&mut self, address: IpAddr) -> Result<Seat, Busy> {
        let held = self.peers.of(address);
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        let busy = match place {
            None => Busy::Full,
            Some(place) => match held.connection(self.per_peer) {
                Some(connection) => {
                    let bytes = held.bytes();
                    return Ok(Seat { _place: place, _connection: connection, bytes, busy: None });
                }
                None => Busy::Peer,
            },
        };
        let place = Arc::clone(&self.reserve).try_acquire_owned().map_err(|_| busy)?;
        let connection = held.reserved(self.reserved_per_peer).ok_or(busy)?;
        let bytes = held.bytes();
        Ok(Seat { _place: place, _connection: connection, bytes, busy: Some(busy) })
    }

    /// Who may linger after being sent away.
    pub(super) fn lingering(&self) -> Arc<Semaphore> {
        Arc::clone(&self.lingering)
    }
}

impl Seat {
    /// Why only some requests are answered here, if so.
    pub(super) fn busy(&self) -> Option<Busy> {
        self.busy
    }

    /// The counter of the memory that the peer's requests hold.
    pub(super) fn bytes(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.bytes)
    }
}

impl Busy {
    /// Counts a connection that is not heard.
    pub(super) fn count(self) {
        let reason = match self {
            Self::Full => "full",
            Self::Peer => "peer",
        };
        counter!("portent_http_connections_refused_total", "reason" => reason).increment(1);
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Full => "there are too many connections (web.max_connections); try again",
            Self::Peer => {
                "there are too many connections from this address (web.max_connections_per_peer); \
                 try again"
            }
        }
    }

    /// The answer to a request that is not heard, counted.
    pub(super) fn response(self, attempt: Attempt) -> Response<Full<Bytes>> {
        self.count();
        let mut response = text(StatusCode::SERVICE_UNAVAILABLE, self.sentence());
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from(attempt.retry_after()));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }

    /// The same for a connection that is not even listened to. Its head, which nobody reads, would say which
    /// attempt it is; where there are so many connections it may well be a late one.
    pub(super) fn head_and_text(self) -> String {
        let again = format!("Retry-After: {}\r\n", Attempt::LATE.retry_after());
        head_and_text(StatusCode::SERVICE_UNAVAILABLE, &again, self.sentence())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hyper::HeaderMap;
    use hyper::header::HeaderName;

    use super::*;

    fn door(max_connections: usize, per_peer: Option<usize>, reserved: usize) -> Door {
        Door::new(&WebConfig {
            max_connections,
            max_connections_per_peer: per_peer,
            reserved_connections: reserved,
            ..WebConfig::default()
        })
    }

    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
    const THIRD: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 3));

    /// What becomes of connections from these addresses that all stay.
    #[track_caller]
    fn check(door: &mut Door, expected: &[(IpAddr, Result<Option<Busy>, Busy>)]) -> Vec<Seat> {
        let mut seats = Vec::new();
        for (i, (address, expected)) in expected.iter().enumerate() {
            let admitted = door.admit(*address);
            let found = admitted.as_ref().map(Seat::busy).map_err(|busy| *busy);
            assert_eq!(found, *expected, "connection {i}");
            seats.extend(admitted);
        }
        seats
    }

    #[test]
    fn who_is_not_heard_is_told_when_to_come_again() {
        let after = |attempt| {
            let response = Busy::Full.response(attempt);
            let value = response.headers()[RETRY_AFTER].to_str().expect("a text").to_owned();
            value.parse::<u32>().expect("seconds")
        };
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static("retry-attempt"),
            HeaderValue::from_static("9"),
        )]);
        // They are spread: of a hundred some differ.
        for (attempt, least, most) in [(Attempt::FIRST, 1, 2), (Attempt::of(&headers), 3, 8)] {
            let waits: Vec<u32> = (0..100).map(|_| after(attempt)).collect();
            assert!(waits.iter().all(|it| (least..=most).contains(it)), "{waits:?}");
            assert!(waits.iter().any(|it| *it != waits[0]), "{waits:?}");
        }
        let unread = Busy::Full.head_and_text();
        let wait = unread.split("\r\nRetry-After: ").nth(1).and_then(|it| it.split('\r').next());
        let wait = wait.and_then(|it| it.parse::<u32>().ok());
        assert!(wait.is_some_and(|it| (3..=8).contains(&it)), "{unread}");
    }

    #[tokio::test]
    async fn a_peer_has_half_of_the_places_and_half_of_the_reserve() {
        let mut door = door(4, None, 2);
        let (peer, full) = (Busy::Peer, Busy::Full);
        let seats = check(
            &mut door,
            &[
                (ONE, Ok(None)),
                (ONE, Ok(None)),
                (ONE, Ok(Some(peer))),
                (ONE, Err(peer)),
                (OTHER, Ok(None)),
                (OTHER, Ok(None)),
                (THIRD, Ok(Some(full))),
                (ONE, Err(full)),
            ],
        );
        assert!(tokio::time::timeout(std::time::Duration::ZERO, door.room()).await.is_err());
        drop(seats);
        door.room().await;
        check(&mut door, &[(ONE, Ok(None))]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_on_the_reserve_is_room_as_well() {
        let mut door = door(1, Some(1), 1);
        let served = door.admit(ONE).expect("a place");
        door.room().await;
        let reserved = door.admit(OTHER).expect("a place");
        assert_eq!((served.busy(), reserved.busy()), (None, Some(Busy::Full)));
        drop(reserved);
        door.room().await;
        drop(served);
        assert_eq!(door.admit(OTHER).expect("a place").busy(), None);
    }

    #[tokio::test]
    async fn without_a_reserve_further_connections_wait() {
        let mut door = door(2, None, 0);
        check(&mut door, &[(ONE, Ok(None)), (ONE, Err(Busy::Peer))]);
        let seats = check(&mut door, &[(ONE, Ok(None)), (OTHER, Ok(None))]);
        assert!(tokio::time::timeout(std::time::Duration::ZERO, door.room()).await.is_err());
        drop(seats);
    }
}

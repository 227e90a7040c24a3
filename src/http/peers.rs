//! Peers: who holds how much of what all share.
//!
//! In: the address of a new connection. Out: its share of the connections, if it is not used up, and the
//! counter of the memory that its requests hold. Invariants: one owner, the loop that accepts; a peer is known
//! for as long as anybody holds something of it, and forgotten after that, so that the map stays as small
//! as what is open.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};

/// Of how many peers the map is looked through for the first time: few enough to be done in no time.
const FIRST_SWEEP: usize = 64;

/// The peers that hold something.
#[derive(Debug, Default)]
pub(super) struct Peers {
    peers: HashMap<IpAddr, Held>,
    /// With so many entries the map is looked through.
    sweep_at: usize,
}

/// What one peer holds.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Each of its connections holds one of the first, and each on the reserve one of the second.
    served: Weak<()>,
    reserved: Weak<()>,
    /// Of the memory for requests; connections and requests hold it.
    bytes: Weak<AtomicUsize>,
}

/// One of the connections of a peer, until it is dropped.
pub(super) type Connection = Arc<()>;

impl Peers {
    /// What the peer with this address holds.
    pub(super) fn of(&mut self, address: IpAddr) -> &mut Held {
        let peer = peer(address);
        if !self.peers.contains_key(&peer) && self.peers.len() >= self.sweep_at.max(FIRST_SWEEP) {
            self.peers.retain(|_, held| held.is_held());
            // Each look is paid for by as many arrivals.
            self.sweep_at = self.peers.len() * 2;
        }
        self.peers.entry(peer).or_default()
    }
}

impl Held {
    /// One more connection, if so many are allowed.
    pub(super) fn connection(&mut self, most: usize) -> Option<Connection> {
        one_more(&mut self.served, most)
    }

    /// One more connection on the reserve, if so many are allowed.
    pub(super) fn reserved(&mut self, most: usize) -> Option<Connection> {
        one_more(&mut self.reserved, most)
    }

    /// The counter of the memory that its requests hold.
    pub(super) fn bytes(&mut self) -> Arc<AtomicUsize> {
        known_or_new(&mut self.bytes)
    }

    fn is_held(&self) -> bool {
        let connections = self.served.strong_count() + self.reserved.strong_count();
        connections + self.bytes.strong_count() > 0
    }
}

fn one_more(held: &mut Weak<()>, most: usize) -> Option<Connection> {
    (held.strong_count() < most).then(|| known_or_new(held))
}

fn known_or_new<T: Default>(held: &mut Weak<T>) -> Arc<T> {
    held.upgrade().unwrap_or_else(|| {
        let new = Arc::new(T::default());
        *held = Arc::downgrade(&new);
        new
    })
}

/// Who an address is: of IPv6 one is given 64 bits to choose addresses from, and IPv4 may come as IPv6.
fn peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::Ordering;

    use super::*;

    #[track_caller]
    fn check(one: &str, other: &str, is_same: bool) {
        let of = |text: &str| peer(text.parse().expect("an address"));
        assert_eq!(of(one) == of(other), is_same, "{one} and {other}");
    }

    #[test]
    fn a_peer_is_an_address_or_a_network() {
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true);
        check("2001:db8:0:1::1", "2001:db8:0:2::1", false);
        check("::1", "127.0.0.1", false);
    }

    #[test]
    fn a_share_comes_back_with_what_was_held() {
        let (one, other) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::BROADCAST));
        let mut peers = Peers::default();
        let first = peers.of(one).connection(2).expect("there is room");
        let second = peers.of(one).connection(2).expect("there is room");
        assert!(peers.of(one).connection(2).is_none());
        let reserved = peers.of(one).reserved(1).expect("the reserve counts by itself");
        assert!(peers.of(one).reserved(1).is_none());
        assert!(peers.of(other).connection(2).is_some());
        drop(first);
        assert!(peers.of(one).connection(2).is_some());
        drop((second, reserved));
        assert!(!peers.of(one).is_held());
    }

    #[test]
    fn bytes_are_counted_together_for_as_long_as_anybody_holds_them() {
        let mut peers = Peers::default();
        let one = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let bytes = peers.of(one).bytes();
        bytes.store(7, Ordering::Relaxed);
        // The connection has gone; a request of it waits in a queue.
        assert_eq!(peers.of(one).bytes().load(Ordering::Relaxed), 7);
        drop(bytes);
        assert_eq!(peers.of(one).bytes().load(Ordering::Relaxed), 0);
    }

    #[test]
    fn peers_that_have_gone_are_forgotten() {
        let mut peers = Peers::default();
        let mut open = Vec::new();
        for i in 0..10_000_u32 {
            let held = peers.of(IpAddr::V4(Ipv4Addr::from_bits(i)));
            let connection = held.connection(1);
            if i % 100 == 0 {
                open.push((connection, held.bytes()));
            }
        }
        assert!(peers.peers.len() <= 2 * open.len() + FIRST_SWEEP, "{}", peers.peers.len());
        let known = |peers: &mut Peers, i| peers.of(IpAddr::V4(Ipv4Addr::from_bits(i))).is_held();
        assert!(known(&mut peers, 0) && known(&mut peers, 9_900));
        assert!(!known(&mut peers, 9_901));
    }
}

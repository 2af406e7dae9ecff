//! [`Places`]: who may wait for something that costs much, so that nobody takes it all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::peer::Peer;

/// How many there are.
const PLACES: usize = 256;

/// How many of them one address may have. Who comes by way of a proxy shares those of the proxy: a turn is short, and who
/// finds none is told to come again.
const OF_ONE: usize = 16;

/// Places to wait at. The clones have the same.
#[derive(Clone, Default)]
pub(super) struct Places {
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place, free again when it is dropped.
pub(super) struct Place {
    taken: Arc<Mutex<Taken>>,
    of: Option<IpAddr>,
}

impl Places {
    /// One for this peer, if there is one left. A socket of this machine has no address, and may have them all.
    pub(super) fn take(&self, peer: Option<&Peer>) -> Option<Place> {
        let of = peer.and_then(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= PLACES {
            return None;
        }
        if let Some(of) = of {
            let of_him = taken.by_address.entry(of).or_default();
            if *of_him >= OF_ONE {
                return None;
            }
            *of_him += 1;
        }
        taken.all += 1;
        Some(Place { taken: Arc::clone(&self.taken), of })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(of) = self.of
            && let Some(of_him) = taken.by_address.get_mut(&of)
        {
            *of_him -= 1;
            if *of_him == 0 {
                taken.by_address.remove(&of);
            }
        }
    }
}

/// By which somebody is counted: of IPv6 the first half, which is what one host is given at least.
fn address(peer: &Peer) -> Option<IpAddr> {
    match peer {
        Peer::Tcp(it) => Some(match it.ip().to_canonical() {
            IpAddr::V6(it) => Ipv6Addr::from(u128::from(it) >> 64 << 64).into(),
            it @ IpAddr::V4(_) => it,
        }),
        Peer::Unix => None,
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    fn peer(text: &str) -> Peer {
        Peer::Tcp(text.parse().unwrap())
    }

    fn all_of(places: &Places, peer: Option<Peer>) -> Vec<Place> {
        iter::from_fn(|| places.take(peer.as_ref())).collect()
    }

    #[test]
    fn nobody_has_more_than_his_share_and_all_together_no_more_than_there_are() {
        let places = Places::default();
        let one = all_of(&places, Some(peer("192.0.2.1:1")));
        assert_eq!(one.len(), OF_ONE);
        assert_eq!(all_of(&places.clone(), Some(peer("192.0.2.1:2"))).len(), 0);
        assert_eq!(all_of(&places, Some(peer("[::ffff:192.0.2.1]:2"))).len(), 0);
        let other = all_of(&places, Some(peer("[2001:db8::1]:1")));
        assert_eq!(other.len(), OF_ONE);
        assert_eq!(all_of(&places, Some(peer("[2001:db8::2]:1"))).len(), 0);
        let unknown = all_of(&places, None);
        assert_eq!(unknown.len(), PLACES - 2 * OF_ONE);
        assert!(places.take(Some(&Peer::Unix)).is_none());
        drop((one, other, unknown));
        let taken = places.taken.lock().unwrap();
        assert_eq!((taken.all, taken.by_address.len()), (0, 0));
    }
}

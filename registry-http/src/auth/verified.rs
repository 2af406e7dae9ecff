//! [`Verified`]: passwords that were found to be right, remembered for a while without being kept.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use lru::LruCache;
use registry_store::options::Random;
use sha2::Sha256;
use tokio::time::Instant;

/// For how long after its last use a password that was right need not be verified again.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// How many are remembered; the one that was used longest ago makes room.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(4096).expect("it is not nought");

/// What stands for a user, a password and the hash it was verified against: their HMAC-SHA256 under a key that this
/// process has made for itself. From a dump of the memory without that key no password can be tried, and with it
/// no faster than HMAC lets; a changed hash is another mark.
pub(super) type Mark = [u8; 32];

/// The marks of what was right.
pub(super) struct Verified {
    key: [u8; 32],
    until: Mutex<LruCache<Mark, Instant>>,
}

impl Verified {
    pub(super) fn new(random: &dyn Random) -> Self {
        let mut key = [0; 32];
        key[..16].copy_from_slice(&random.bytes());
        key[16..].copy_from_slice(&random.bytes());
        Self { key, until: Mutex::new(LruCache::new(CAPACITY)) }
    }

    /// The mark of these three. Each goes with its length, so that no two triples are one text.
    pub(super) fn mark(&self, name: &str, password: &str, hash: &str) -> Mark {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key may have any length");
        for part in [name, password, hash] {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    /// Was it right, not long ago? If so it is remembered on: that nobody has to wait for bcrypt again and again, and a
    /// hash that changes is another mark.
    pub(super) fn holds(&self, mark: &Mark) -> bool {
        let mut until = self.until();
        let now = Instant::now();
        match until.get_mut(mark) {
            Some(until) if now < *until => {
                *until = now + LIFETIME;
                return true;
            }
            Some(_) => {}
            None => return false,
        }
        until.pop(mark);
        false
    }

    pub(super) fn remember(&self, mark: Mark) {
        self.until().put(mark, Instant::now() + LIFETIME);
    }

    fn until(&self) -> MutexGuard<'_, LruCache<Mark, Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verified(..)")
    }
}

#[cfg(test)]
mod tests {
    use registry_store::options::SystemRandom;
    use tokio::time::advance;

    use super::*;

    #[test]
    fn marks_differ_by_each_part_and_by_process() {
        let (one, other) = (Verified::new(&SystemRandom), Verified::new(&SystemRandom));
        let mark = one.mark("ann", "secret", "hash");
        assert_eq!(mark, one.mark("ann", "secret", "hash"));
        assert_ne!(mark, one.mark("an", "nsecret", "hash"));
        assert_ne!(mark, one.mark("ann", "secre", "thash"));
        assert_ne!(mark, one.mark("ann", "secret", "hush"));
        assert_ne!(mark, other.mark("ann", "secret", "hash"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_right_is_forgotten_a_while_after_its_last_use() {
        let verified = Verified::new(&SystemRandom);
        let mark = verified.mark("ann", "secret", "hash");
        assert!(!verified.holds(&mark));
        verified.remember(mark);
        for _ in 0..2 {
            advance(LIFETIME - Duration::from_secs(1)).await;
            assert!(verified.holds(&mark), "a use lengthens it");
        }
        advance(LIFETIME).await;
        assert!(!verified.holds(&mark));
    }

    #[tokio::test]
    async fn no_more_are_remembered_than_there_is_room_for() {
        let verified = Verified::new(&SystemRandom);
        let marks: Vec<Mark> =
            (0..=CAPACITY.get()).map(|n| verified.mark(&n.to_string(), "", "")).collect();
        marks.iter().for_each(|mark| verified.remember(*mark));
        assert!(!verified.holds(&marks[0]));
        assert!(verified.holds(&marks[1]) && verified.holds(&marks[CAPACITY.get()]));
    }
}

//! [`CurrentPolicy`]: the policy that counts now, and another one from the next request on.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::Policy;

/// A policy that can be replaced while it is asked. Clones are the same: who makes tokens and who takes them hold one.
///
/// A request is judged by one policy from its beginning to its end, the one that counted when it was asked about.
#[derive(Clone, Default)]
pub struct CurrentPolicy(Arc<RwLock<Arc<Policy>>>);

impl CurrentPolicy {
    /// The one that counts now.
    pub fn get(&self) -> Arc<Policy> {
        // It is replaced as a whole, so it is whole at every instant.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on this one counts.
    pub fn set(&self, policy: Policy) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }
}

impl From<Arc<Policy>> for CurrentPolicy {
    fn from(policy: Arc<Policy>) -> Self {
        Self(Arc::new(RwLock::new(policy)))
    }
}

impl From<Policy> for CurrentPolicy {
    fn from(policy: Policy) -> Self {
        Arc::new(policy).into()
    }
}

impl fmt::Debug for CurrentPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CurrentPolicy").field(&self.get()).finish()
    }
}

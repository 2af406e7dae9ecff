//! [`Gate`]: where requests wait until a test lets them go on.

use tokio::sync::watch;

/// A gate that is shut. Its clones are one gate.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<Standing>);

#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    is_open: bool,
    arrived: usize,
    /// How many of those have happened.
    happened: usize,
}

impl Gate {
    /// One that is shut.
    pub fn shut() -> Self {
        Self(watch::Sender::new(Standing::default()))
    }

    /// Lets all go on that wait here, and all that come later.
    pub fn open(&self) {
        self.0.send_modify(|standing| standing.is_open = true);
    }

    /// Waits until so many have come, whether they wait or went on.
    pub async fn arrived(&self, count: usize) {
        self.until(|standing| standing.arrived >= count).await;
    }

    /// Waits until all requests have happened that came and were to wait here before they do; there may be none. Who
    /// only waits with its answer is not counted, so such gates are never empty again.
    pub async fn emptied(&self) {
        self.until(|standing| standing.is_open && standing.happened >= standing.arrived).await;
    }

    /// Waits here until it is open.
    pub(super) async fn pass(&self) {
        self.arrive();
        self.wait().await;
    }

    /// Has come, and will wait.
    pub(super) fn arrive(&self) {
        self.0.send_modify(|standing| standing.arrived += 1);
    }

    /// Waits here, having come before, until it is open.
    pub(super) async fn wait(&self) {
        self.until(|standing| standing.is_open).await;
    }

    /// Has happened, which it waited for.
    pub(super) fn leave(&self) {
        self.0.send_modify(|standing| standing.happened += 1);
    }

    async fn until(&self, reached: impl Fn(&Standing) -> bool) {
        let mut watched = self.0.subscribe();
        watched
            .wait_for(|standing| reached(standing))
            .await
            .expect("the gate is borrowed meanwhile");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn who_arrives_waits_until_it_is_open() {
        let gate = Gate::shut();
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.pass().await }
        });
        gate.arrived(1).await;
        assert!(gate.pass().now_or_never().is_none());
        gate.open();
        waiting.await.unwrap();
        assert!(gate.pass().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_gate_is_empty_when_it_is_open_and_all_that_came_have_happened() {
        let gate = Gate::shut();
        assert!(gate.emptied().now_or_never().is_none());
        gate.arrive();
        gate.open();
        assert!(gate.emptied().now_or_never().is_none());
        gate.leave();
        gate.emptied().await;
    }
}

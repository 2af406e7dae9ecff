//! [`drop_after_polls`]: a caller that loses patience.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// Drives a future until it has been polled so often, and drops it then; its output if it was ready before.
///
/// Between two polls it waits until the future asks for the next, so every point at which a future can be
/// dropped is reached by counting up from nought, whatever it waits for.
pub async fn drop_after_polls<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let future = pin!(future);
    if polls == 0 {
        return None;
    }
    Impatient { future, polls }.await
}

struct Impatient<'a, F> {
    future: Pin<&'a mut F>,
    polls: usize,
}

impl<F: Future> Future for Impatient<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        self.polls -= 1;
        if self.polls == 0 { Poll::Ready(None) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tokio::task::yield_now;

    #[tokio::test]
    async fn a_future_gets_as_many_polls_as_were_said_and_no_more() {
        for polls in 0..5 {
            let reached = Cell::new(0);
            let steps = async {
                for step in 1..=3 {
                    reached.set(step);
                    yield_now().await;
                }
            };
            let output = drop_after_polls(polls, steps).await;
            assert_eq!(reached.get(), polls.min(3));
            assert_eq!(output.is_some(), polls > 3);
        }
    }
}

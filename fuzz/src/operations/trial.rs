//! [`Trial`]: how an operation is disturbed, and [`Outcome`]: what comes of it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use registry_store::backend::ErrorKind;
use registry_store::error::{Error, Result};

use super::super::faulty::Fault;
use super::super::input::Input;
use super::world::World;

const KINDS: [ErrorKind; 5] =
    [ErrorKind::Io, ErrorKind::Full, ErrorKind::Unavailable, ErrorKind::Busy, ErrorKind::Denied];

/// How an operation is disturbed, if it is.
#[derive(Clone, Copy, Debug)]
pub enum Trial {
    Undisturbed,
    /// Calls of the storage fail.
    Fails(Fault),
    /// Whoever asked for it leaves after so many polls.
    IsLeft(usize),
}

/// What comes of an operation.
#[derive(Debug)]
pub enum Outcome<T> {
    /// It was acknowledged.
    Done(T),
    /// It was a fault of whoever asked for it.
    Refused(Error),
    /// The storage failed, or nobody waited for the end: what there is, is as before, or after.
    Failed,
}

impl Trial {
    pub fn new(input: &mut Input<'_>) -> Self {
        match input.below(8) {
            0..4 => Self::Undisturbed,
            4 => Self::IsLeft(input.below(24)),
            choice => Self::Fails(Fault {
                after: input.below(24),
                times: [1, 2, usize::MAX][choice - 5],
                kind: input.one_of(&KINDS),
                is_done: input.flag(),
            }),
        }
    }

    pub const fn is_left(self) -> bool {
        matches!(self, Self::IsLeft(_))
    }

    /// Runs an operation. Only storage that failed may be at fault, and how it failed is told as it was.
    pub async fn run<T>(
        self,
        world: &World,
        operation: impl Future<Output = Result<T>>,
    ) -> Outcome<T> {
        let ended = match self {
            Self::Undisturbed => Some(operation.await),
            Self::IsLeft(polls) => polled(operation, polls).await,
            Self::Fails(fault) => {
                world.backend.arm(Some(fault));
                Some(operation.await)
            }
        };
        world.store.finish_detached().await;
        let met = world.backend.disarm();
        match ended {
            None => Outcome::Failed,
            Some(Ok(done)) => Outcome::Done(done),
            Some(Err(Error::Storage(error))) => {
                let fault = met.unwrap_or_else(|| unreachable!("nothing failed, but: {error}"));
                assert_eq!(error.kind(), fault.kind, "{error}");
                Outcome::Failed
            }
            Some(Err(error)) => Outcome::Refused(error),
        }
    }
}

/// Polls so often, and drops what has not ended then.
async fn polled<T>(operation: impl Future<Output = T>, mut polls: usize) -> Option<T> {
    let mut operation = pin!(operation);
    poll_fn(|cx| {
        let Some(left) = polls.checked_sub(1) else { return Poll::Ready(None) };
        polls = left;
        operation.as_mut().poll(cx).map(Some)
    })
    .await
}

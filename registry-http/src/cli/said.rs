//! [`Said`]: a value that somebody has said.

/// A value, and what to change if it is not good.
#[derive(Debug)]
pub(super) struct Said<T> {
    pub(super) value: T,
    pub(super) by: String,
}

//! Clients that keep account of what they were told, and whether a registry that died keeps to it.
//!
//! The account is kept here, outside of the store: a [`Pusher`] pushes, moves and deletes, and notes in its [`Ledger`]
//! what each answer promised and what an answer that did not come leaves open; [`Check`] compares a registry with it.

mod chance;
mod check;
mod content;
mod cutting;
mod facts;
mod figures;
mod ledger;
mod pusher;
mod sessions;
mod wire;

pub use chance::Chance;
pub use check::{After, Check, Scope};
pub use content::Content;
pub use cutting::{Cut, Cutting};
pub use facts::Fact;
pub use figures::Figures;
pub use ledger::Ledger;
pub use pusher::{Pusher, Way};
pub use sessions::Upload;
pub use wire::{Body, Request, Wire};

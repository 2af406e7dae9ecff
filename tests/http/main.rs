//! The protocol, over a real socket.
//!
//! `specification.txt` is the whole of it, request by request, for reading; `specification` plays it. The
//! other modules hold what does not fit a table: many things, large things, and things that break.

mod broken;
mod cut;
mod fixture;
mod large;
mod listing;
mod specification;

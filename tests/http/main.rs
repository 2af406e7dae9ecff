//! The protocol, over a real socket.
//!
//! The folder `specification` is the whole of it, request by request, for reading; the module of that name plays
//! it. The other modules hold what does not fit a table: many things, large things, and things that break.

mod access;
mod broken;
mod cut;
mod events;
mod fixture;
mod large;
mod specification;
mod table;

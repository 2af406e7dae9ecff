//! The protocol, over a real socket.
//!
//! The folder `specification` is the whole of it, request by request, for reading; the module of that name plays
//! it. `oci` is the checklist of what the OCI specifications ask, a test for each item. The other modules hold what
//! does not fit a table: bad things, many things, large things, and things that break.

mod access;
mod accounts;
mod bad_input;
mod broken;
mod cut;
mod events;
mod existence;
mod fixture;
mod gate;
mod harbor;
mod large;
mod listing;
mod oci;
mod policy;
mod readiness;
mod redirect;
mod s3_faults;
mod specification;
mod table;
mod token_service;
mod tokens;

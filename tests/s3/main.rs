//! The S3 of the tests does what S3 does.
//!
//! It is driven as a client drives it, over HTTP by hand and with signatures; what it answers is read as text, not by
//! what wrote it. What each test states is what AWS documents, unless it says otherwise.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod addressing;
mod batches;
mod checksums;
mod conditions;
mod copying;
mod faults;
mod fixture;
mod listing;
mod listing_uploads;
mod multipart;
mod objects;
mod recording;
mod signatures;

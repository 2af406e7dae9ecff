//! The checklist of what OCI asks of a registry, item by item.
//!
//! `checklist.txt` has the items. Each that is in scope has a test, or several, named `item_NNN_<sentence>`, and
//! `coverage` fails if one has none. It also plays all of them on a directory.

mod access;
mod blobs_pull;
mod cancel;
mod chunked;
mod coverage;
mod deleting;
mod digests;
mod errors;
mod general;
mod image_spec;
mod manifests_pull;
mod manifests_push;
mod monolithic;
mod mount;
mod referrers;
mod registry;
mod sessions;
mod tags;

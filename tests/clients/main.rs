//! A client library no one here wrote: oci-client, which needs no program and runs with all other tests.

#[cfg(test)]
mod oci_client;

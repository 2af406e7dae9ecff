//! Every clause on buckets.

mod as_aws {
    every_clause!(registry_tests::backends::s3);
    every_clause_of_long_keys!(registry_tests::backends::s3);
}

mod without_conditions {
    every_clause!(registry_tests::backends::s3_without_conditions);
    every_clause_of_long_keys!(registry_tests::backends::s3_without_conditions);
}

mod in_small_pages {
    every_clause!(registry_tests::backends::s3_in_small_pages);
    every_clause_of_long_keys!(registry_tests::backends::s3_in_small_pages);
}

#[cfg(feature = "peers")]
mod garage {
    // Without those of long keys: with LMDB below it a key has some 480 bytes at most.
    every_clause!(registry_tests::backends::s3_on_garage);
}

#[cfg(feature = "peers")]
mod moto {
    every_clause!(registry_tests::backends::s3_on_moto);
    every_clause_of_long_keys!(registry_tests::backends::s3_on_moto);
}

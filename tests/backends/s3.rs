//! Every clause on buckets.

mod as_aws {
    every_clause!(registry_tests::backends::s3);
}

mod without_conditions {
    every_clause!(registry_tests::backends::s3_without_conditions);
}

mod in_small_pages {
    every_clause!(registry_tests::backends::s3_in_small_pages);
}

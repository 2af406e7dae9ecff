//! Every clause on directories.

mod plain {
    every_clause!(registry_tests::backends::filesystem);
    every_clause_of_long_keys!(registry_tests::backends::filesystem);
    every_clause_of_promotion_without_a_copy!(registry_tests::backends::filesystem);
    every_clause_of_locks_between_processes!(registry_tests::backends::filesystem);
}

mod with_named_temps {
    every_clause!(registry_tests::backends::filesystem_with_named_temps);
    every_clause_of_long_keys!(registry_tests::backends::filesystem_with_named_temps);
    every_clause_of_promotion_without_a_copy!(
        registry_tests::backends::filesystem_with_named_temps
    );
}

mod without_hard_links {
    every_clause!(registry_tests::backends::filesystem_without_hard_links);
    every_clause_of_long_keys!(registry_tests::backends::filesystem_without_hard_links);
}

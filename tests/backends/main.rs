//! The contract of Backend, every clause on every backend.
//!
//! A clause is a function that takes a [`Fixture`](registry_tests::backends::Fixture) and checks one promise of
//! the traits `Backend` and `Staged`. [`every_clause`] is the list of them all; a clause that is missing there
//! is never used, and does not compile without a warning. A clause assumes nothing that only one kind of storage
//! has: neither directories nor their absence, neither speed nor an order in time between two handles.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a clause fails by panicking")]

mod common;

mod deleting;
mod dropping;
mod expiring;
mod heading;
mod listing;
mod listing_children;
mod listing_children_with;
mod listing_places;
mod locking;
mod locking_between_processes;
mod model;
mod pointing;
mod promoting;
mod promoting_without_a_copy;
mod putting;
mod quarantining;
mod reading;
mod sessions;
mod settling;
mod signing;
mod staging_final;
mod wrapping;

/// Makes every clause a test on the storage that `$fixture` makes.
macro_rules! every_clause {
    ($fixture:path) => {
        stamp! { $fixture;
            heading {
                head_tells_the_size,
                nothing_is_known_of_what_is_not_there,
                a_replaced_object_has_its_new_size,
            }
            reading {
                a_put_is_read_back_whole,
                a_large_object_is_read_back_whole_in_parts,
                an_empty_object_is_read_as_nothing,
                what_is_not_there_is_not_found_whatever_the_range,
                a_range_from_an_offset_goes_to_the_end,
                a_bounded_range_is_clipped_at_the_end,
                a_suffix_is_clipped_at_the_beginning,
                a_range_without_a_byte_is_not_satisfiable,
                no_range_of_an_empty_object_is_satisfiable,
                any_range_reads_what_a_slice_has,
                any_range_of_a_large_object_reads_what_a_slice_has,
                what_was_opened_stays_when_the_object_is_replaced,
                what_was_opened_stays_when_the_object_is_deleted,
                what_was_opened_stays_when_all_around_it_is_deleted,
                what_was_opened_stays_when_the_object_is_quarantined,
                many_readers_read_the_same,
            }
            putting {
                nothing_to_put_is_done,
                an_object_can_be_empty,
                the_outcomes_stand_in_the_order_of_the_requests,
                create_keeps_what_is_there,
                overwrite_replaces_what_is_there_by_longer_and_shorter,
                one_key_twice_in_a_list_is_put_twice_in_order,
                another_handle_reads_what_was_put,
                names_with_every_allowed_byte_can_be_put,
                keys_may_nest_deeply,
                a_name_and_its_extensions_are_different_objects,
                names_become_visible_in_the_order_given,
                after_an_error_what_is_there_is_a_beginning_of_the_list,
                of_many_concurrent_creations_one_is_written,
                concurrent_overwrites_leave_one_of_them_whole,
                a_reader_sees_the_old_or_the_new_and_nothing_between,
                many_concurrent_lists_are_all_put,
            }
            settling {
                answers_stand_in_the_order_of_the_keys,
                nothing_to_settle_is_settled,
                what_another_handle_deleted_is_not_there,
                what_another_handle_replaced_has_its_new_size,
                what_another_handle_promoted_is_there,
                all_that_is_settled_is_as_it_was,
                all_is_settled_while_others_write,
            }
            deleting {
                what_is_deleted_is_gone,
                what_is_not_there_counts_as_deleted,
                only_what_is_named_is_deleted,
                places_that_become_empty_are_not_listed,
                places_that_do_not_become_empty_stay,
                a_deep_place_goes_with_its_last_object,
                a_deleted_object_can_be_put_again,
                puts_beside_deletes_are_not_lost,
                a_tree_is_deleted_with_everything_below_it,
                an_object_of_the_trees_name_is_deleted,
                a_tree_that_is_not_there_counts_as_deleted,
                siblings_with_the_same_beginning_are_not_of_the_tree,
                a_large_tree_is_deleted,
                what_is_put_into_a_tree_that_is_being_deleted_stays_whole_or_goes,
            }
            quarantining {
                a_quarantined_object_is_out_of_sight,
                what_is_not_there_counts_as_quarantined,
                an_object_can_take_the_place_of_a_quarantined_one,
                one_key_can_be_quarantined_again_and_again,
                a_quarantine_leaves_the_neighbours,
                what_is_quarantined_is_what_was_judged,
            }
            listing {
                objects_are_listed_in_the_byte_order_of_whole_keys,
                any_keys_are_listed_in_order_after_any_key,
                a_place_with_nothing_below_it_lists_nothing,
                an_object_is_not_below_itself,
                siblings_with_the_same_beginning_are_not_listed,
                after_need_not_be_there_nor_below_the_place,
                what_stays_is_listed_once_whatever_comes_and_goes,
                a_listing_can_be_given_up_halfway,
                a_long_listing_is_whole,
            }
            listing_children {
                names_are_listed_in_byte_order,
                objects_and_prefixes_are_told_apart,
                what_lies_deeper_makes_one_name,
                a_page_of_every_limit_goes_on_where_the_last_ended,
                a_full_last_page_has_nothing_behind_it,
                a_page_of_nothing_has_nothing_behind_it,
                names_after_any_text_are_those_greater,
                nothing_lies_below_nothing,
                nothing_lies_below_an_object,
                a_name_that_is_an_object_and_a_prefix_is_listed_once_as_an_object,
                thousands_of_names_are_listed_by_pages,
                any_names_are_listed_as_a_set_lists_them,
                a_session_makes_a_name_below_its_repositorys_uploads,
            }
            listing_children_with {
                names_that_have_the_object_are_listed_with_its_size,
                a_page_of_names_with_an_object_goes_on_where_the_last_ended,
                what_lies_beside_the_object_hides_no_name,
                nothing_has_an_object_below_nothing,
                any_names_with_an_object_are_listed_as_a_set_lists_them,
            }
            listing_places {
                places_are_those_with_a_mark_in_the_order_of_paths,
                what_lies_below_marks_hides_no_place,
                no_place_lies_below_nothing,
                any_places_are_listed_as_a_sorted_list_has_them,
            }
            pointing {
                what_points_is_written_whatever_was_there,
                a_target_that_is_not_there_is_told_of,
                what_points_is_written_if_it_is_absent_or_as_it_was,
                of_many_that_point_if_it_is_absent_one_does,
                what_is_as_expected_is_deleted,
                what_points_stays_as_long_as_its_target_is_there,
                an_empty_object_is_deleted_if_it_is_expected_empty,
            }
            sessions {
                a_new_session_is_empty,
                appended_bytes_are_read_back_from_any_offset,
                persist_tells_the_tip,
                a_persisted_session_is_gone_on_with,
                a_session_is_gone_on_with_from_its_tip,
                a_session_is_gone_on_with_through_another_handle,
                a_session_without_bytes_is_gone_on_with,
                what_was_not_persisted_is_lost_or_kept_but_never_different,
                a_session_that_is_not_there_is_not_found,
                appending_nothing_changes_nothing,
                many_small_appends_are_one_line_of_bytes,
                big_appends_are_one_line_of_bytes,
                a_session_grows_over_many_resumptions,
                the_latest_note_at_an_offset_or_below_is_found,
                a_note_survives_the_handle,
                a_note_is_of_any_length,
                a_note_is_replaced_by_a_later_one_at_the_same_offset,
                no_note_vouches_for_bytes_that_were_never_persisted,
                rewind_cuts_the_bytes_back,
                a_rewound_session_is_gone_on_with_where_it_was_cut,
                a_note_above_a_rewind_vouches_for_nothing,
                a_rewind_to_the_offset_changes_nothing,
                a_copy_holds_the_note,
                a_deleted_session_is_not_found,
                a_discarded_session_leaves_nothing,
                two_sessions_do_not_touch_each_other,
                any_steps_leave_what_a_vector_has,
            }
            staging_final {
                what_is_staged_is_not_visible,
                a_final_staging_becomes_its_object,
                a_dropped_final_staging_leaves_nothing,
                a_discarded_final_staging_leaves_nothing,
                a_final_staging_that_was_promoted_leaves_its_object,
                a_final_staging_of_many_parts_becomes_one_object,
                an_empty_final_staging_becomes_an_empty_object,
                final_stagings_of_one_key_do_not_touch_each_other,
            }
            promoting {
                a_session_becomes_an_object,
                an_empty_session_becomes_an_empty_object,
                a_promoted_object_is_listed_and_seen_by_other_handles,
                a_big_session_becomes_an_object,
                an_object_of_the_same_size_is_kept,
                an_object_of_another_size_is_replaced,
                an_empty_object_is_replaced,
                a_wrong_size_is_an_error_and_nothing_is_visible,
                the_staging_stays_after_its_promotion,
                a_promotion_can_be_repeated,
                discarding_leaves_the_object,
                deleting_the_session_leaves_the_object,
                deleting_the_object_leaves_the_session,
                of_sessions_that_become_one_object_one_creates_it,
                a_reader_of_a_replaced_object_keeps_what_it_opened,
            }
            locking {
                those_that_share_hold_together,
                an_exclusive_holder_is_alone,
                who_deletes_is_alone,
                an_exclusive_holder_waits_for_those_that_share,
                those_that_share_wait_for_an_exclusive_holder,
                different_scopes_do_not_wait_for_each_other,
                a_scope_below_another_is_another,
                a_lock_is_free_when_its_guard_is_dropped,
                a_waiter_that_gave_up_holds_nothing,
                many_holders_are_never_two_at_once,
                a_lock_is_not_an_object,
            }
            expiring {
                sessions_are_not_expired,
                objects_are_not_expired,
                what_was_removed_is_not_removed_again,
                nothing_younger_is_expired,
            }
            dropping {
                a_dropped_put_is_whole_or_nothing,
                a_dropped_list_of_puts_is_a_beginning_of_it,
                a_dropped_delete_leaves_objects_whole,
                a_dropped_delete_of_a_tree_leaves_objects_whole,
                a_dropped_quarantine_leaves_an_object_whole_or_out_of_sight,
                a_session_whose_beginning_was_dropped_is_there_or_not,
                a_session_after_a_dropped_append_has_a_part_of_its_bytes,
                a_session_after_a_dropped_persist_has_its_bytes,
                a_session_after_a_dropped_rewind_has_a_beginning_of_its_bytes,
                a_dropped_promotion_happened_whole_or_not,
                a_dropped_final_promotion_happened_whole_or_not,
                a_dropped_discard_leaves_the_object,
                a_dropped_read_harms_nothing,
            }
            signing {
                a_signed_address_is_one_of_the_web,
            }
            model {
                any_operations_answer_as_a_map_does,
            }
        }
    };
}

/// The clauses of storage where a promotion moves no bytes, so that a session and its object are one.
macro_rules! every_clause_of_promotion_without_a_copy {
    ($fixture:path) => {
        stamp! { $fixture;
            promoting_without_a_copy {
                a_session_knows_that_it_was_promoted_when_it_is_opened_again,
                nothing_is_added_to_a_promoted_session,
                nothing_is_cut_from_a_promoted_session,
                a_promoted_session_becomes_no_other_object,
            }
        }
    };
}

/// The clauses of storage that takes every key, however long: some servers of S3 do not.
macro_rules! every_clause_of_long_keys {
    ($fixture:path) => {
        stamp! { $fixture;
            putting {
                the_longest_segment_can_be_put,
            }
        }
    };
}

/// The clauses of storage that has locks between processes.
macro_rules! every_clause_of_locks_between_processes {
    ($fixture:path) => {
        stamp! { $fixture;
            locking_between_processes {
                a_holder_is_alone_among_all_handles,
                a_waiter_on_another_handle_can_give_up,
                all_handles_share,
            }
        }
    };
}

/// Makes each clause a test.
macro_rules! stamp {
    ($fixture:path; $($topic:ident { $($clause:ident,)+ })+) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $clause() {
            crate::common::hold($fixture(), crate::$topic::$clause).await;
        }
    )+)+};
}

mod memory {
    every_clause!(registry_tests::backends::memory);
    every_clause_of_long_keys!(registry_tests::backends::memory);
    every_clause_of_promotion_without_a_copy!(registry_tests::backends::memory);
    every_clause_of_locks_between_processes!(registry_tests::backends::memory);
}

mod counted_memory {
    every_clause!(registry_tests::backends::counted_memory);
    every_clause_of_long_keys!(registry_tests::backends::counted_memory);
    every_clause_of_promotion_without_a_copy!(registry_tests::backends::counted_memory);
    every_clause_of_locks_between_processes!(registry_tests::backends::counted_memory);
}

mod faultless_memory {
    every_clause!(registry_tests::backends::faultless_memory);
    every_clause_of_long_keys!(registry_tests::backends::faultless_memory);
    every_clause_of_promotion_without_a_copy!(registry_tests::backends::faultless_memory);
    every_clause_of_locks_between_processes!(registry_tests::backends::faultless_memory);
}

mod yielding_memory {
    every_clause!(registry_tests::backends::yielding_memory);
    every_clause_of_long_keys!(registry_tests::backends::yielding_memory);
    every_clause_of_promotion_without_a_copy!(registry_tests::backends::yielding_memory);
    every_clause_of_locks_between_processes!(registry_tests::backends::yielding_memory);
}

mod gated_memory {
    every_clause!(registry_tests::backends::gated_memory);
    every_clause_of_long_keys!(registry_tests::backends::gated_memory);
    every_clause_of_promotion_without_a_copy!(registry_tests::backends::gated_memory);
    every_clause_of_locks_between_processes!(registry_tests::backends::gated_memory);
}

mod observed_memory {
    every_clause!(registry_tests::backends::observed_memory);
    every_clause_of_long_keys!(registry_tests::backends::observed_memory);
    every_clause_of_promotion_without_a_copy!(registry_tests::backends::observed_memory);
    every_clause_of_locks_between_processes!(registry_tests::backends::observed_memory);
}

mod recorded_memory {
    every_clause!(registry_tests::backends::recorded_memory);
    every_clause_of_long_keys!(registry_tests::backends::recorded_memory);
    every_clause_of_promotion_without_a_copy!(registry_tests::backends::recorded_memory);
    every_clause_of_locks_between_processes!(registry_tests::backends::recorded_memory);
}

mod filesystem;
mod s3;

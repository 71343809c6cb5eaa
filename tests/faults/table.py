"""The table of faults: what fails, what has to come of it, and the tests that hold it. docs/faults.md shows it.

`python -m faults.table` prints the page's tables. Names of tests are checked, and so is the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FRAMEWORK, KUBELET, KERNEL = "shared/framework", "shared/kubelet", "shared/kernel"
TELEMETRY, LABELS, SIDECAR = "shared/telemetry", "shared/labels", "sidecars/level_zero"


@dataclass(frozen=True, slots=True)
class Fault:
    what: str
    state: str  # that is expected
    tests: Sequence[str]  # FILE::NAME below tests/, without `test_` and `.py`


TABLE: Mapping[str, Sequence[Fault]] = {
    "Files in `/sys` and `/dev`": (
        Fault(
            "opening, listing or reading any file that a family looks at fails, with any of 14 errnos",
            "its device is rejected or offered with less, and said so; other devices stay as they were; "
            "when a directory of several devices fails, what was known stays",
            ("faults/every_file::a_file_that_fails_costs_only_its_device_and_not_without_a_word",),
        ),
        Fault(
            "opening or reading any of these files hangs",
            "that scan waits, and finds everything when the file answers",
            ("faults/every_file::a_file_that_fails_costs_only_its_device_and_not_without_a_word",),
        ),
        Fault(
            "a read hangs",
            "what was known is served, changes of health too; SIGTERM ends the process in time",
            (
                f"{FRAMEWORK}/process::a_signal_during_a_scan_that_hangs_in_a_read_ends_the_process_in_time",
                f"{FRAMEWORK}/beside_scans::a_scan_that_hangs_does_not_hold_up_a_change_of_health",
                f"{FRAMEWORK}/isolation::what_one_plugin_does_leaves_the_others_untouched",
            ),
        ),
        Fault(
            "an attribute holds anything: binary, too long, a pipe, a directory, a loop of links",
            "an error that names the file; nothing waits",
            (
                f"{KERNEL}/sysfs::any_bytes_are_text_or_a_malformed_attribute",
                f"{KERNEL}/sysfs::an_attribute_longer_than_a_page_is_refused_and_shown_cut",
                f"{KERNEL}/sysfs::a_pipe_or_directory_is_refused_without_waiting",
                f"{KERNEL}/sysfs::a_loop_of_links_is_an_os_error",
            ),
        ),
        Fault(
            "a whole scan fails",
            "counted; what was known stays",
            (f"{FRAMEWORK}/scanning::a_failing_scan_is_counted_and_the_next_one_runs",),
        ),
        Fault(
            "hardware does not answer the numbers of the metrics page",
            "no numbers, not old ones",
            (
                f"{FRAMEWORK}/measuring::hardware_that_hangs_has_no_numbers_until_it_answers",
                f"{FRAMEWORK}/measuring::a_measurement_that_fails_leaves_no_old_numbers",
            ),
        ),
    ),
    "Kernel events": (
        Fault(
            "datagrams that are no events",
            "dropped and counted",
            (f"{KERNEL}/uevents::each_datagram_is_one_event_and_bad_ones_are_counted_and_dropped",),
        ),
        Fault(
            "the kernel could not deliver events",
            "a scan",
            (
                f"{KERNEL}/uevents::events_that_the_kernel_could_not_deliver_are_a_reason_to_scan_and_the_next_ones_arrive",
            ),
        ),
        Fault("a flood", "a few scans", (f"{FRAMEWORK}/node::a_flood_of_events_is_a_few_scans",)),
        Fault(
            "a watched directory goes, is moved, comes back",
            "watched again",
            (f"{KERNEL}/watching::a_directory_that_goes_and_comes_back_is_watched_again",),
        ),
    ),
    "Sockets": (
        Fault(
            "any operation fails, at the start or later: making, binding, listening, connecting, accepting, options, "
            "names, sending, receiving",
            "tried again; the kubelet gets its list, also the next kubelet",
            ("faults/every_socket::whichever_call_fails_the_kubelet_gets_its_list",),
        ),
        Fault(
            "the kubelet restarts, reads slowly, goes away, sockets are removed and strangers talk, in any order",
            "the list is true whenever the kubelet reads",
            (f"{KUBELET}/server_machine::TestServer",),
        ),
    ),
    "The kubelet": (
        Fault(
            "it sends noise, HTTP/1, broken HTTP/2, or answers twice; hangs up, says nothing, goes away",
            "asked again; the true kubelet is found as soon as it is there",
            ("faults/kubelets::whoever_is_in_the_kubelet_s_place_the_true_one_is_found",),
        ),
        Fault(
            "a client sends such things to our socket",
            "costs only that client",
            (
                f"{FRAMEWORK}/http2::a_peer_costs_only_itself",
                f"{FRAMEWORK}/http2::a_stream_that_ends_in_the_middle_of_a_list_costs_only_itself",
            ),
        ),
        Fault(
            "it refuses the registration, with any status, or never answers it",
            "one log line; asked again for ever",
            (f"{FRAMEWORK}/node::whatever_status_a_registration_fails_with_it_is_told_once_and_tried_again",),
        ),
        Fault(
            "it hangs in the registration and another one takes its place",
            "registered with the new one",
            (f"{FRAMEWORK}/node::a_new_kubelet_is_registered_with_while_the_old_one_hangs",),
        ),
        Fault(
            "it takes the registration and never asks for the list",
            "registered again after 30 s",
            (f"{FRAMEWORK}/node::a_registration_without_a_stream_is_not_trusted_for_ever",),
        ),
        Fault(
            "it reads slowly",
            "gets the newest list; nobody else waits",
            (f"{FRAMEWORK}/node::a_slow_reader_gets_the_newest_list_and_holds_nobody_up",),
        ),
        Fault(
            "it restarts, is down for long, comes late",
            "registered again; nothing lost, nothing leaked",
            (
                f"{FRAMEWORK}/node::kubelet_restarts_lose_nothing_and_leak_nothing",
                f"{FRAMEWORK}/node::a_kubelet_that_comes_late_is_found_at_once",
                f"{FRAMEWORK}/node::a_kubelet_that_was_down_is_found_again",
            ),
        ),
        Fault(
            "its directory vanishes, or our socket in it",
            "bound and registered again",
            (
                f"{FRAMEWORK}/node::the_kubelets_directory_may_vanish_and_come_back",
                f"{FRAMEWORK}/node::a_removed_socket_is_bound_and_registered_again",
            ),
        ),
        Fault(
            "its directory is mounted read-only, or missing",
            "told with errno and likely cause; registered once it can be written",
            (
                "faults/read_only::a_read_only_kubelet_directory_is_told_and_waited_for",
                f"{KUBELET}/sockets::a_missing_directory_is_told_with_errno_and_likely_cause",
            ),
        ),
        Fault(
            "its directory belongs to somebody else",
            "told with errno; registered once it can be written",
            ("faults/owners::a_kubelet_directory_of_somebody_else_is_told_and_waited_for",),
        ),
        Fault(
            "it cannot write its checkpoint, the disk being full, or has lost it (the simulated kubelet)",
            "it goes on, with what the plugin lists; without a checkpoint a device may be given twice, as by real ones",
            (
                "simulator/kubelet/checkpoint::a_file_that_cannot_be_written_is_told_and_the_kubelet_goes_on",
                "simulator/kubelet/checkpoint::a_kubelet_that_lost_its_checkpoint_gives_a_device_twice",
            ),
        ),
        Fault(
            "another instance, or a file, is in our socket's place",
            "left alone and waited for",
            (
                f"{FRAMEWORK}/node::a_second_instance_waits_for_the_first_to_end",
                f"{FRAMEWORK}/node::a_foreign_file_in_the_sockets_place_is_left_alone_until_it_goes",
            ),
        ),
        Fault(
            "pod-resources refuses, is silent, or answers with more than 4 MiB",
            "what was known stays; large answers are taken",
            (
                f"{KUBELET}/pod_resources::what_was_known_stays_while_the_kubelet_refuses",
                f"{KUBELET}/pod_resources::an_answer_larger_than_4_mib_is_taken",
            ),
        ),
        Fault(
            "its answer about holders comes during the first scan",
            "devices that went while no plugin ran are listed",
            (
                f"{FRAMEWORK}/late_holders::a_held_device_is_listed_also_when_its_holder_is_heard_of_during_the_first_scan",
            ),
        ),
        Fault(
            "the list is too large for it",
            "the last good list stays",
            (f"{FRAMEWORK}/node::of_a_list_too_large_for_the_kubelet_only_the_known_devices_are_told",),
        ),
    ),
    "Files that we write": (
        Fault(
            "the disk of CDI files is full",
            "told with the file's name; no half file",
            (f"{FRAMEWORK}/cdi::a_full_disk_is_an_error_that_names_the_file_and_leaves_nothing_behind",),
        ),
        Fault(
            "their directory is mounted read-only",
            "devices are listed; an allocation that needs the file fails with its name, until it can be written",
            ("faults/read_only::without_room_for_cdi_files_devices_are_listed_and_an_allocation_names_the_file",),
        ),
        Fault(
            "their directory belongs to somebody else",
            "told with the file's name; devices are listed",
            ("faults/owners::a_cdi_directory_of_somebody_else_costs_the_files_and_says_so",),
        ),
        Fault(
            "a link, a directory or a damaged file is in a CDI file's place",
            "replaced, never followed; a directory is an error",
            (
                f"{FRAMEWORK}/cdi::a_link_in_the_files_place_is_replaced_and_not_followed",
                f"{FRAMEWORK}/cdi::a_directory_in_the_files_place_is_an_error_that_names_it",
                f"{FRAMEWORK}/cdi::an_outdated_or_damaged_file_is_replaced",
            ),
        ),
        Fault(
            "the disk of labels is full",
            "the update fails, the old file stays",
            (f"{LABELS}/feature_file::a_full_disk_costs_the_update_only",),
        ),
        Fault(
            "the directory of labels is mounted read-only, or belongs to somebody else",
            "told with the file's name; written once it can be",
            (
                "faults/read_only::a_read_only_label_directory_costs_the_update_and_is_written_once_it_can_be",
                "faults/owners::a_label_directory_of_somebody_else_is_an_error_that_names_the_file",
                f"{LABELS}/labeller::a_sink_that_fails_is_tried_again",
            ),
        ),
        Fault(
            "writing labels hangs",
            "other sinks and the program go on",
            (f"{LABELS}/labeller::a_sink_that_hangs_costs_only_itself",),
        ),
        Fault(
            "a link, a pipe or a directory is in the label file's place",
            "replaced, never followed; a directory is an error",
            (
                f"{LABELS}/feature_file::a_link_is_replaced_never_followed",
                f"{LABELS}/feature_file::a_fifo_in_its_place_is_replaced_without_waiting_for_a_writer",
                f"{LABELS}/feature_file::a_directory_in_its_place_is_named",
            ),
        ),
    ),
    "Telemetry": (
        Fault(
            "messages that are none",
            "dropped and counted by reason",
            (f"{TELEMETRY}/transport::what_is_not_a_message_is_dropped_and_counted",),
        ),
        Fault(
            "a message above the limit",
            "costs a new connection",
            (f"{TELEMETRY}/transport::a_message_above_the_limit_costs_a_new_socket_and_nothing_else",),
        ),
        Fault(
            "the sidecar is killed",
            "found again; no device changes",
            (
                f"{TELEMETRY}/transport::a_killed_publisher_that_starts_again_is_found",
                f"{SIDECAR}/chain::killed_at_any_time_everything_is_right_again_soon",
            ),
        ),
        Fault(
            "something else listens on the path",
            "waited out",
            (f"{TELEMETRY}/transport::a_listener_on_the_path_that_is_no_publisher_is_waited_out",),
        ),
        Fault(
            "the directory or the socket belongs to somebody else",
            "spoken of; the subscriber is told why and connects once it may",
            (
                f"{TELEMETRY}/ipc::a_directory_of_somebody_else_is_spoken_of",
                f"{TELEMETRY}/ipc::another_user_s_subscriber_is_told_why_and_connects_once_it_may",
            ),
        ),
        Fault(
            "a flood",
            "the event loop serves others",
            (f"{TELEMETRY}/transport::a_flood_leaves_the_event_loop_to_others",),
        ),
        Fault(
            "a key that is not allowed",
            "gets nothing until it is",
            (f"{TELEMETRY}/curve::any_other_key_gets_nothing_until_it_is_allowed",),
        ),
    ),
    "The GPU's driver": (
        Fault(
            "it crashes its process",
            "a new child; the guilty GPU is left alone",
            (f"{SIDECAR}/supervisor::a_device_whose_calls_crash_the_driver_costs_only_itself",),
        ),
        Fault(
            "a call hangs",
            "this GPU grows stale, the others do not",
            (f"{SIDECAR}/supervisor::a_device_that_hangs_keeps_only_itself_from_being_sampled",),
        ),
        Fault(
            "the child is stopped, killed, cannot be killed",
            "replaced",
            (
                f"{SIDECAR}/supervisor::a_child_that_was_stopped_is_replaced",
                f"{SIDECAR}/supervisor::a_child_that_cannot_be_killed_is_not_waited_for",
            ),
        ),
        Fault("one sensor fails", "costs only itself", (f"{SIDECAR}/device::one_sensor_in_trouble_costs_only_itself",)),
        Fault(
            "the device is lost",
            "lost until it answers",
            (f"{SIDECAR}/device::a_lost_device_is_lost_until_it_answers",),
        ),
    ),
    "XPU Manager": (
        Fault(
            "it is not there, answers with another status, noise, too much, or never",
            "costs its time; the newest fabric serves for a while, then nothing is known",
            (
                "sidecars/xelink/fetching::whatever_answers_costs_its_time_and_nothing_else",
                "sidecars/xelink/fetching::another_status_than_200_is_a_failure_that_names_it",
                "sidecars/xelink/fetching::100_mib_are_not_read_to_their_end",
                "sidecars/xelink/keeping::the_newest_reading_serves_for_a_while_and_then_nothing_is_known",
            ),
        ),
        Fault(
            "its certificate is not the trusted one",
            "nothing is read",
            ("sidecars/xelink/fetching::https_trusts_the_given_certificates_only_and_they_may_change",),
        ),
    ),
    "The API server": (
        Fault(
            "it fails, refuses or is not there, while labels or Events are written",
            "tried again ever more slowly, said once; devices are served meanwhile",
            (
                f"{LABELS}/node::failures_are_tried_again_ever_more_slowly",
                f"{FRAMEWORK}/node_events::a_failure_is_tried_again_and_said_once",
                f"{FRAMEWORK}/node_events::an_api_server_that_is_not_there_disturbs_nobody",
            ),
        ),
    ),
    "Provisioning": (
        Fault(
            "the kernel refuses any of the writes",
            "the device is what it was; others go on",
            (
                "plugins/idxd_provision/killed::refused_at_any_write_the_device_is_what_it_was",
                "plugins/idxd_provision/killed::other_devices_go_on_when_one_fails",
            ),
        ),
        Fault(
            "the run is killed at any of the writes",
            "the next run ends as an undisturbed one",
            ("plugins/idxd_provision/killed::killed_at_any_write_and_run_again_ends_as_an_undisturbed_run",),
        ),
        Fault(
            "a device vanishes meanwhile",
            "costs itself",
            ("plugins/idxd_provision/killed::a_device_that_vanishes_meanwhile_costs_itself",),
        ),
        Fault(
            "another run has the lock",
            "waited for, 60 seconds",
            ("shared/provisioning/lock::a_second_run_waits_60_seconds_and_then_names_the_file",),
        ),
    ),
    "Time": (
        Fault(
            "the wall clock jumps back while labels are written",
            "they do not stay for ever",
            (f"{LABELS}/feature_file::a_clock_that_jumps_back_does_not_keep_labels_for_ever",),
        ),
        Fault(
            "a message's clock differs, or is of another boot",
            "refused beyond the limit; on one machine only the monotonic clock counts",
            (
                f"{TELEMETRY}/freshness::messages_that_cannot_be_of_now_and_here",
                f"{TELEMETRY}/freshness::a_message_of_this_boot_keeps_its_own_time",
            ),
        ),
    ),
}


def page() -> str:
    """The tables as Markdown."""
    lines = []
    for title, faults in TABLE.items():
        lines += [f"## {title}", "", "| What fails | What comes of it | Held by |", "| --- | --- | --- |"]
        for fault in faults:
            tests = "<br>".join(f"`{test.partition('::')[2]}`" for test in fault.tests)
            lines.append(f"| {fault.what} | {fault.state} | {tests} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(page())

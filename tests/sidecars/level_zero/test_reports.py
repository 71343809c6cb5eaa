"""What the child tells its parent, cut anywhere, and what is no report."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_examples import full_snapshot
from xpu_shared.telemetry.kinds import Group, Mode
from xpu_shared.telemetry.readings import DeviceSnapshot
from xpu_sidecars.level_zero.reports import LARGEST, Count, MalformedReportError, Report, ReportReader, frame
from xpu_wire import collector_pb2 as pb

REPORTS = [
    Report(snapshot=DeviceSnapshot(unavailable="no driver")),
    Report(
        snapshot=full_snapshot(2),
        pci_addresses=("0000:03:00.0", "0000:04:00.0"),
        hanging=("0000:03:00.0",),
        left_alone=("0000:04:00.0",),
        counts={("0000:03:00.0", Group.TEMPERATURE): Count(failed_calls=3, dropped_samples=1)},
    ),
    Report(snapshot=DeviceSnapshot(mode=Mode.LEGACY)),
]
BYTES = b"".join(map(frame, REPORTS))


@given(st.lists(st.integers(0, len(BYTES)), max_size=8))
def test_reports_arrive_however_the_pipe_cuts_them(places: list[int]) -> None:
    reader = ReportReader()
    found: list[Report] = []
    bounds = [0, *sorted(places), len(BYTES)]
    for begin, end in pairwise(bounds):
        found += reader.feed(BYTES[begin:end])
    assert found == REPORTS


def test_a_report_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(MalformedReportError, match="at most"):
        list(ReportReader().feed((LARGEST + 1).to_bytes(4, "big")))


@given(st.binary(max_size=200))
def test_anything_else_is_a_report_or_an_error(content: bytes) -> None:
    try:
        found = list(ReportReader().feed(len(content).to_bytes(4, "big") + content))
    except MalformedReportError:
        return
    assert len(found) == 1


def test_names_that_are_no_addresses_are_left_out() -> None:
    message = pb.Report(pci_addresses=["0000:03:00.0", "../..", "0000:03:00.0\n"], hanging=["x"], left_alone=[""])
    message.counts.add(pci_address="evil", failed_calls=1)
    message.counts.add(pci_address="0000:03:00.0", group=2, failed_calls=1)
    content = message.SerializeToString()
    (found,) = ReportReader().feed(len(content).to_bytes(4, "big") + content)

    assert (found.pci_addresses, found.hanging, found.left_alone) == (("0000:03:00.0",), (), ())
    assert found.counts == {("0000:03:00.0", Group.STATE): Count(failed_calls=1)}

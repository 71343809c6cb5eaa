"""What the child that owns the library tells its parent, as values and as frames on a pipe.

The child is ours, but a driver runs in it that may write anywhere: what it sends is bounded and checked.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from xpu_shared.telemetry import encoding, records
from xpu_shared.telemetry.decoding import PCI_ADDRESS, SnapshotReader
from xpu_shared.telemetry.encoding import snapshot_message
from xpu_shared.telemetry.kinds import Group
from xpu_shared.telemetry.readings import DeviceSnapshot
from xpu_wire import collector_pb2 as pb

LARGEST = 4 * 1024 * 1024  # bytes of a report; 64 GPUs need less than 100 KiB
LENGTH = 4  # bytes before each report
UNIDENTIFIED = re.compile(r"device [0-9]{1,4}")  # by its place in the library's list, while it has no address


class MalformedReportError(ValueError):
    """The child sends what is no report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    failed_calls: int = 0
    dropped_samples: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    snapshot: DeviceSnapshot  # with the devices that were sampled since the last report
    pci_addresses: tuple[str, ...] = ()  # of all devices there are
    hanging: tuple[str, ...] = ()
    left_alone: tuple[str, ...] = ()  # and those that could not be asked for their address, as `device N`
    counts: Mapping[tuple[str, Group], Count] = field(default_factory=dict)  # since the child was started
    sampling: str = ""  # if given, the only news: the device that is sampled, or asked who it is, from now on


def frame(report: Report) -> bytes:
    message = pb.Report(
        snapshot=snapshot_message(report.snapshot),
        pci_addresses=report.pci_addresses,
        hanging=report.hanging,
        left_alone=report.left_alone,
        sampling=report.sampling,
        counts=[
            pb.Count(
                pci_address=address,
                group=encoding.GROUPS[group],
                failed_calls=count.failed_calls,
                dropped_samples=count.dropped_samples,
            )
            for (address, group), count in report.counts.items()
        ],
    ).SerializeToString()
    return len(message).to_bytes(LENGTH, "big") + message


class ReportReader:
    """Makes reports of a pipe's bytes, however they are cut."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._reader = SnapshotReader()

    def feed(self, data: bytes) -> Iterator[Report]:
        """The reports that are complete now.

        Raises:
            MalformedReportError: the rest of the pipe cannot be read either.
        """
        self._bytes += data
        while len(self._bytes) >= LENGTH:
            length = int.from_bytes(self._bytes[:LENGTH], "big")
            if length > LARGEST:
                raise MalformedReportError(f"a report of {length} bytes, at most {LARGEST} are taken")
            if len(self._bytes) < LENGTH + length:
                return
            content = bytes(self._bytes[LENGTH : LENGTH + length])
            del self._bytes[: LENGTH + length]
            yield self._report(content)

    def _report(self, content: bytes) -> Report:
        try:
            message = pb.Report.FromString(content)
        except DecodeError as error:
            raise MalformedReportError(f"no report: {error}") from None
        return Report(
            snapshot=self._reader.snapshot(message.snapshot),
            pci_addresses=_addresses(message.pci_addresses),
            hanging=_addresses(message.hanging),
            left_alone=_names(message.left_alone),
            sampling="".join(_names([message.sampling])),
            counts={
                (count.pci_address, records.GROUPS[count.group]): Count(
                    failed_calls=count.failed_calls, dropped_samples=count.dropped_samples
                )
                for count in message.counts
                if PCI_ADDRESS.fullmatch(count.pci_address) and 0 <= count.group < len(records.GROUPS)
            },
        )


def unidentified(place: int) -> str:
    """What a device is called that has not said its address."""
    return f"device {place}"


def _names(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in texts if PCI_ADDRESS.fullmatch(name) or UNIDENTIFIED.fullmatch(name))


def _addresses(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(address for address in texts if PCI_ADDRESS.fullmatch(address))

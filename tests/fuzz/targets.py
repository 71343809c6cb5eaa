"""What is fuzzed: for each parser of outside input a function of bytes that raises when the parser does wrong.

A parser may refuse, with its own errors. What it takes has to be what the rest of the program relies on.
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from google.protobuf.message import DecodeError

from fuzz.frames import check, take
from xpu_plugins.gpu.card import PCI_ADDRESS
from xpu_plugins.gpu.settings import GpuSettings
from xpu_plugins.gpu.xpumd import facts, looks
from xpu_shared.cdi import CdiDirectory, file_name, render
from xpu_shared.device import CdiDevice
from xpu_shared.kernel.sysfs import MalformedAttributeError, read_integer, read_text
from xpu_shared.kernel.topology import LARGEST_NODE, TopologyError, numa_nodes
from xpu_shared.kernel.uevents import ACTIONS, MalformedUeventError, parse
from xpu_shared.kubelet.pod_resources import holders_in
from xpu_shared.program.flags import Parsed, UsageError
from xpu_shared.program.settings import Given, settle
from xpu_shared.program.yaml_file import YamlError
from xpu_shared.program.yaml_file import read as read_yaml
from xpu_shared.telemetry.decoding import SnapshotReader
from xpu_shared.telemetry.envelope import MalformedMessageError
from xpu_shared.telemetry.freshness import OutdatedMessageError
from xpu_sidecars.level_zero.reports import MalformedReportError, Report, ReportReader
from xpu_wire import deviceinfo_v1alpha1_pb2, podresources_v1_pb2

DIRECTORY = Path(os.environ.get("XPU_FUZZ_SCRATCH", "build/fuzz/scratch"))  # for files that are read


def sysfs(data: bytes) -> None:
    """An attribute, as text, as a number, and as what says where a device is."""
    device = DIRECTORY / "devices/pci0000:00/0000:00:02.0"
    if not device.is_dir():
        device.mkdir(parents=True)
        (device / "local_cpulist").write_text("0-15\n")
    attribute = device / "numa_node"
    attribute.write_bytes(data)
    try:
        text = read_text(attribute)
        assert text == text.strip()
        assert text.isascii()
        assert read_integer(attribute) == int(text, base=0)
    except MalformedAttributeError as error:
        _one_line(error)
    try:
        nodes = numa_nodes(device, sysfs=DIRECTORY)
        assert all(0 <= node <= LARGEST_NODE for node in nodes)
    except TopologyError as error:
        _one_line(error)
    attribute.write_text("0\n")
    (device / "local_cpulist").write_bytes(data)
    try:
        assert numa_nodes(device, sysfs=DIRECTORY) in ((), (0,))
    except TopologyError as error:
        _one_line(error)


def _one_line(error: Exception) -> None:
    assert str(error).isprintable(), f"an error that spoils the log: {error!r}"


def uevent(data: bytes) -> None:
    try:
        event = parse(data)
    except MalformedUeventError:
        return
    assert event.action in ACTIONS
    assert event.devpath.startswith("/")
    assert event.subsystem
    assert event.variables["ACTION"] == event.action


def telemetry(data: bytes) -> None:
    with contextlib.suppress(MalformedMessageError, OutdatedMessageError):
        take(data, SnapshotReader(), None)


def configuration(data: bytes) -> None:
    """A settings file: refused with one line, or taken as settings that could have been flags."""
    path = DIRECTORY / "settings.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    try:
        document = read_yaml(path)
        if isinstance(document.value, dict):
            settle(GpuSettings, Given(parsed=Parsed(), document=document))
    except (YamlError, UsageError) as error:
        _one_line(error)


def cdi_file(data: bytes) -> None:
    """What lies where one of our CDI files belongs, and where one has lain: replaced, or removed if it is ours."""
    kind = "intel.cdi.k8s.io/gpu"
    device = CdiDevice(kind=kind, name="card0")
    directory = DIRECTORY / "cdi"
    directory.mkdir(parents=True, exist_ok=True)
    own, old = (directory / file_name(kind, name) for name in ("card0", "card1"))
    own.write_bytes(data)
    old.write_bytes(data)
    files = CdiDirectory(directory, (kind,))
    files.ensure(device)
    assert own.read_text() == render(device)
    removed = files.collect([device], retention=0.0, now=1.0)
    assert (old in removed) == (not old.exists())
    assert not removed or data.endswith(f"\nkind: {kind}\n".encode())


def pod_resources(data: bytes) -> None:
    try:
        answer = podresources_v1_pb2.ListPodResourcesResponse.FromString(data)
    except DecodeError:  # gRPC ends the call
        return
    holders, claims = holders_in(answer)
    assert all(found for found in (*holders.values(), *claims.values()))


def xpumd(data: bytes) -> None:
    try:
        answer = deviceinfo_v1alpha1_pb2.DeviceHealthResponse.FromString(data)
    except DecodeError:  # as above
        return
    found = looks(answer, tolerated=("throttled",), max_age=120.0)
    assert found.keys() == facts(answer).keys()
    for address, look in found.items():
        assert PCI_ADDRESS.fullmatch(address)
        assert all(finding.text.isprintable() for finding in look.findings.values())


def collector(data: bytes) -> None:
    """A pipe's bytes at once and in two pieces are the same reports, and what they hold is sound."""
    whole, cut = _reports(data), _reports(data[: len(data) // 2], data[len(data) // 2 :])
    assert repr(whole) == repr(cut)  # with NaN, which is not equal to itself
    for report in whole:
        check(report.snapshot)
        for address in (*report.pci_addresses, *report.hanging, *report.left_alone):
            assert PCI_ADDRESS.fullmatch(address)


def _reports(*pieces: bytes) -> list[Report]:
    reader, reports = ReportReader(), []
    try:
        for piece in pieces:
            for report in reader.feed(piece):
                reports.append(report)  # noqa: PERF402 - those before a malformed one count
    except MalformedReportError:
        pass
    return reports


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "sysfs": sysfs,
    "uevent": uevent,
    "telemetry": telemetry,
    "configuration": configuration,
    "cdi-file": cdi_file,
    "pod-resources": pod_resources,
    "xpumd": xpumd,
    "collector": collector,
}

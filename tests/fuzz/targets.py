"""What is fuzzed: for each parser of outside input a function of bytes that raises when the parser does wrong.

A parser may refuse, with its own errors. What it takes has to be what the rest of the program relies on.
"""

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from google.protobuf.message import DecodeError

from fuzz.frames import NOW, check, take
from telemetry_examples import envelope
from xpu_plugins.gpu.card import PCI_ADDRESS
from xpu_plugins.gpu.settings import GpuSettings
from xpu_plugins.gpu.xpumd import facts, looks
from xpu_plugins.idxd_provision.layout import json_layout
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
from xpu_shared.provisioning.plan import LayoutError
from xpu_shared.telemetry.bounds import MAX_SKEW
from xpu_shared.telemetry.decoding import SnapshotReader
from xpu_shared.telemetry.envelope import MalformedMessageError, decode, encode, subscription
from xpu_shared.telemetry.freshness import OutdatedMessageError, received
from xpu_shared.telemetry.topology import TopologySnapshot
from xpu_shared.telemetry.topology_messages import TopologyReader
from xpu_sidecars.level_zero.reports import MalformedReportError, Report, ReportReader
from xpu_sidecars.xelink.metrics_text import parse as parse_metrics
from xpu_sidecars.xelink.reading import MOST_LINKS, SourceError
from xpu_sidecars.xelink.xpum_links import LARGEST, LabelRules, reading
from xpu_wire import deviceinfo_v1alpha1_pb2, podresources_v1_pb2, telemetry_pb2

LABEL = re.compile(r"\d+\.\d+-\d+\.\d+(_\d+\.\d+-\d+\.\d+)*", re.ASCII)
SOUND = encode(envelope())[len(subscription(SnapshotReader.topic)) :]  # without its frame's beginning
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


def topology(data: bytes) -> None:
    """A frame of the XeLink sidecar, and its payload in a sound frame."""
    _topology_frame(data)
    message = telemetry_pb2.Envelope.FromString(SOUND)
    try:
        message.topology.ParseFromString(data)
    except DecodeError:
        return
    _topology_frame(subscription(TopologyReader.topic) + message.SerializeToString())


def _topology_frame(data: bytes) -> None:
    """What is taken of it is a fabric, and is written as it was read."""
    try:
        message = decode(data, TopologyReader())
    except MalformedMessageError as error:
        _one_line(error)
        return
    _is_fabric(message.payload)
    with contextlib.suppress(OutdatedMessageError):
        received(message, None, node="", max_skew=MAX_SKEW, now=NOW)
    assert decode(encode(message), TopologyReader()) == message


def _is_fabric(snapshot: TopologySnapshot) -> None:
    addresses = [device.pci_address for device in snapshot.devices]
    assert len(set(addresses)) == len(addresses)
    for link in snapshot.links:
        assert link.a != link.b
        assert PCI_ADDRESS.fullmatch(link.a.pci_address)
        assert PCI_ADDRESS.fullmatch(link.b.pci_address)
    for text in (snapshot.source, snapshot.reason, *snapshot.labels):
        assert text.isprintable()


def xpu_manager(data: bytes) -> None:
    """XPU Manager's metrics page: its links are between devices that it names, and its label can be written."""
    page = parse_metrics(data)
    assert not page.first_bad or page.first_bad.isprintable()
    strict = parse_metrics(data, strict=True)
    assert strict.samples == page.samples or any(sample.value != sample.value for sample in page.samples)
    try:
        found = reading(page.samples, LabelRules())
    except SourceError as error:
        _one_line(error)
        return
    assert len(found.links) <= MOST_LINKS
    addresses = {device.pci_address for device in found.devices}
    for link in found.links:
        assert {link.a.pci_address, link.b.pci_address} <= addresses
        assert 0 <= link.lanes <= LARGEST
    assert not found.value or LABEL.fullmatch(found.value)


def layout(data: bytes) -> None:
    """A layout of DSA and IAA devices in JSON, as people and accel-config write it."""
    try:
        found = json_layout(data.decode("utf-8", "replace"), "file")
    except LayoutError as error:
        _one_line(error)
        return
    assert all(isinstance(entry["dev"], str) for entry in found.entries.values())


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
    "topology": topology,
    "xpu-manager": xpu_manager,
    "configuration": configuration,
    "layout": layout,
    "cdi-file": cdi_file,
    "pod-resources": pod_resources,
    "xpumd": xpumd,
    "collector": collector,
}

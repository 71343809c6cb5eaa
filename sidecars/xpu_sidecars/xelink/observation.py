"""The sidecar's page: links, ports and how the source fares. Imported only when an address is given."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from xpu_shared.labels.labeller import Labeller
from xpu_shared.labels.metrics import labeller_metrics
from xpu_shared.program.every_page import alive, build_info
from xpu_shared.program.options import ListenAddress
from xpu_shared.program.web import serve as serve_page
from xpu_shared.telemetry.fabric import End, Port, PortStatus
from xpu_shared.telemetry.metrics import publisher_metrics
from xpu_shared.telemetry.publisher import Publisher
from xpu_shared.telemetry.topology import Link, TopologySnapshot, TopologyState
from xpu_sidecars.xelink.state import STARTING, State

STATUS_NUMBERS = {
    PortStatus.HEALTHY: 0,
    PortStatus.DEGRADED: 1,
    PortStatus.FAILED: 2,
    PortStatus.DISABLED: 3,
    PortStatus.UNKNOWN: -1,
}
END_LABELS = (
    "local_device_id",
    "local_subdevice_id",
    "local_on_subdevice",
    "remote_device_id",
    "remote_subdevice_id",
    "lane_count",
    "pci_bdf",
)
PAIR_LABELS = ("pci_bdf", "subdevice_id", "remote_pci_bdf", "remote_subdevice_id")
PORT_LABELS = ("pci_bdf", "subdevice_id", "port")


def serve(
    address: ListenAddress, state: State, publisher: Publisher, labeller: Labeller, *, program: str
) -> Callable[[], None]:
    """Serve the page; returns what ends it. Called on the event loop."""
    registry = CollectorRegistry()
    registry.register(XelinkCollector(state, publisher, labeller, program=program))
    loop = asyncio.get_running_loop()
    page = serve_page(
        address, registry, healthy=lambda: alive(loop), ready=lambda: readiness(state.shown, publisher.trouble)
    )
    return page.close


def readiness(shown: TopologySnapshot, obstacle: str) -> tuple[bool, str]:
    """Ready: something is published, be it that nothing is known and why."""
    if obstacle or shown is STARTING:
        return False, obstacle or STARTING.reason
    return True, f"{shown.state}: {shown.reason}" if shown.reason else str(shown.state)


class XelinkCollector(Collector):
    def __init__(self, state: State, publisher: Publisher, labeller: Labeller, *, program: str) -> None:
        self._state = state
        self._publisher = publisher
        self._labeller = labeller
        self._program = program

    def collect(self) -> Iterator[Metric]:
        state, shown = self._state, self._state.shown
        yield build_info(self._program)
        yield GaugeMetricFamily("xpu_source_up", "1 while the source answers.", value=state.up)
        last = GaugeMetricFamily("gpu_xelink_last_success_timestamp_seconds", "Unix time of the newest good look.")
        if state.last_success:
            last.add_metric((), state.last_success)
        yield last
        yield GaugeMetricFamily(
            "gpu_xelink_topology_known", "1 while it is known how GPUs are linked.", value=known(shown)
        )
        errors = CounterMetricFamily(
            "gpu_xelink_source_errors", "What the source told that could not be used.", labels=("reason",)
        )
        for reason, count in dict(state.errors).items():
            errors.add_metric((reason,), count)
        yield errors
        yield from link_metrics(shown)
        yield up_metric(shown, state.pairs)
        yield from port_metrics(shown.ports)
        yield from labeller_metrics(self._labeller)
        yield from publisher_metrics(self._publisher.counters)


def known(shown: TopologySnapshot) -> bool:
    return shown.state is not TopologyState.UNKNOWN


def link_metrics(shown: TopologySnapshot) -> Iterator[Metric]:
    """The links that can be used, also in the form in which XPU Manager 1.x tells them."""
    indices = {device.pci_address: device.index for device in shown.devices if device.index is not None}
    topology = GaugeMetricFamily("xpum_topology_link", "1 is a direct link, as of XPU Manager 1.x.", labels=END_LABELS)
    lanes = GaugeMetricFamily("gpu_xelink_lanes", "Lanes between two tiles.", labels=PAIR_LABELS)
    rates = GaugeMetricFamily(
        "gpu_xelink_bandwidth_bits_per_second", "Lanes times their rate, in one direction.", labels=PAIR_LABELS
    )
    for link in shown.links:
        pair = pair_labels(link.a, link.b)
        lanes.add_metric(pair, link.lanes)
        if link.bits_per_second is not None:
            rates.add_metric(pair, link.lanes * link.bits_per_second)
        if link.a.pci_address in indices and link.b.pci_address in indices:
            topology.add_metric(_as_xpum(link.a, link.b, link, indices), 1)
            topology.add_metric(_as_xpum(link.b, link.a, link, indices), 1)
    links = GaugeMetricFamily("gpu_xelink_links", "Links of a GPU, by their status.", labels=("pci_bdf", "status"))
    for (address, status), count in links_of_devices(shown).items():
        links.add_metric((address, status), count)
    yield from (topology, lanes, rates, links)


def up_metric(shown: TopologySnapshot, pairs: Iterable[tuple[End, End]]) -> Metric:
    """1 for a link that can be used, 0 for one that was there before."""
    metric = GaugeMetricFamily("gpu_xelink_link_up", "1 a link, 0 one that was there before.", labels=PAIR_LABELS)
    up = {pair_labels(link.a, link.b) for link in shown.links}
    for labels in sorted({pair_labels(*pair) for pair in pairs} | up):
        metric.add_metric(labels, labels in up)
    return metric


def pair_labels(a: End, b: End) -> tuple[str, str, str, str]:
    return a.pci_address, str(a.tile), b.pci_address, str(b.tile)


def links_of_devices(shown: TopologySnapshot) -> dict[tuple[str, str], int]:
    """How many links each device has, by address and status."""
    counts: Counter[tuple[str, str]] = Counter()
    for device in shown.devices:
        counts[device.pci_address, "healthy"] += 0
    for link in shown.links:
        for address in {link.a.pci_address, link.b.pci_address}:
            counts[address, str(link.status)] += 1
    return dict(counts)


def _as_xpum(local: End, remote: End, link: Link, indices: dict[str, int]) -> tuple[str, ...]:
    return (
        str(indices[local.pci_address]),
        str(local.tile),
        "false" if local.subdeviceless else "true",
        str(indices[remote.pci_address]),
        str(remote.tile),
        str(link.lanes),
        local.pci_address,
    )


def port_metrics(ports: Iterable[Port]) -> Iterator[Metric]:
    """The ports, and what went over them and went wrong; of ports that share their labels the first."""
    status = GaugeMetricFamily(
        "gpu_xelink_port_status",
        "0 healthy, 1 degraded, 2 failed, 3 disabled, -1 unknown.",
        labels=PORT_LABELS,
    )
    received = CounterMetricFamily("gpu_xelink_rx_bytes", "Bytes received.", labels=PORT_LABELS)
    sent = CounterMetricFamily("gpu_xelink_tx_bytes", "Bytes sent.", labels=PORT_LABELS)
    errors = CounterMetricFamily("gpu_xelink_errors", "Errors of a port, by type.", labels=(*PORT_LABELS, "type"))
    different = {port_labels(port): port for port in reversed(list(ports))}
    for place, port in reversed(different.items()):
        status.add_metric(place, STATUS_NUMBERS[port.status])
        if port.received_bytes is not None:
            received.add_metric(place, port.received_bytes)
        if port.transmitted_bytes is not None:
            sent.add_metric(place, port.transmitted_bytes)
        for type_, count in (
            ("link_failure", port.link_failures),
            ("fw_communication", port.firmware_communication_errors),
            ("fw", port.firmware_errors),
            ("link_degrade", port.link_degradations),
        ):
            if count is not None:
                errors.add_metric((*place, type_), count)
    yield from (status, received, sent, errors)


def port_labels(port: Port) -> tuple[str, str, str]:
    return (
        port.place.pci_address,
        "" if port.place.subdeviceless else str(port.place.tile),
        f"{port.id.fabric}.{port.id.attach}.{port.id.number}",
    )

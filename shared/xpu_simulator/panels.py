"""The state of a simulation as tables for a terminal: for the live view, and for `xpu-simulator status`."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from xpu_simulator.kubelet.resources import HEALTHY
from xpu_simulator.page import printable
from xpu_simulator.report import ids_text
from xpu_simulator.status import DeviceStatus, HardwareStatus, Status

HEADER = ("DEVICE", "HEALTH", "NUMA", "POD")
GAP = 3  # between columns


def headline(status: Status) -> Text:
    kubelet = status.kubelet
    state = ("running", "green") if kubelet.running else ("stopped", "bold red")
    pods = f"{len(status.pods)} pod{'' if len(status.pods) == 1 else 's'}"
    waiting = sum(not pod.running for pod in status.pods)
    text = Text.assemble(
        *((status.name, "bold"), f"   kubelet {kubelet.version} ", state, f"   {pods}"),
        *([f", {waiting} not running"] if waiting else []),
        f"   {status.directory}",
    )
    return _one_line(text)


def not_running(status: Status) -> Text:
    """Why pods do not run, a line each."""
    lines = [f"pod {pod.name} does not run: {pod.message}" for pod in status.pods if not pod.running]
    return Text("\n".join(printable(line) for line in lines), style="red")


def hardware(status: Status) -> Sequence[Text]:
    """The node's devices, a line for each family, by driver, whatever plugins make of them."""
    return [_family(title, devices) for title, devices in status.hardware.items()]


def _family(title: str, devices: Sequence[HardwareStatus]) -> Text:
    by_driver: dict[str | None, list[str]] = {}
    for device in devices:
        by_driver.setdefault(device.driver, []).append(device.name)
    groups = [
        part
        for driver, names in by_driver.items()
        for part in (
            ("   ", ""),
            (driver or "pulled out", "green" if driver else "bold red"),
            (f" {ids_text(names)}", ""),
        )
    ]
    return _one_line(Text.assemble((title, "bold"), *groups))


def resources(status: Status) -> Table:
    table = _table("RESOURCE", "CAPACITY", "ALLOCATABLE", "IN USE", right=(1, 2, 3))
    for resource in status.resources:
        in_use = sum(device.pod is not None for device in resource.devices)
        allocatable = Text(str(resource.allocatable), style="red" if resource.allocatable < resource.capacity else "")
        table.add_row(Text(printable(resource.name)), str(resource.capacity), allocatable, str(in_use))
    return table


def devices(status: Status, *, width: int, height: int) -> Table:
    """Every device with its health and its pod, in as many columns as fit.

    When there are more, unhealthy devices come first, then those of pods, and what does not fit is counted.
    """
    several = len(status.resources) > 1  # which may have devices of the same id
    listed = [
        (f"{resource.name.rpartition('/')[2]}/{device.id}" if several else device.id, device)
        for resource in status.resources
        for device in resource.devices
    ]
    cells = [_device(name, device) for name, device in listed]
    widest = [max(len(cell) for cell in column) for column in zip(HEADER, *cells, strict=True)]
    columns = max(width // sum(width + GAP for width in widest), 1)
    rows = min(-(-len(cells) // columns), max(height - 1, 1))
    if rows * columns < len(cells):
        cells = [_device(name, device) for name, device in sorted(listed, key=lambda entry: _interest(entry[1]))]
    shown = cells[: rows * columns]
    columns = max(-(-len(shown) // max(rows, 1)), 1)  # those that are used
    table = _table(*HEADER * columns)
    for row in range(rows):
        table.add_row(*(cell for device in shown[row::rows] for cell in device))
    if len(shown) < len(cells):
        table.caption = _one_line(Text(f"and {len(cells) - len(shown)} more: xpu-simulator status shows all"))
        table.caption_justify = "left"
    return table


def _interest(device: DeviceStatus) -> tuple[bool, bool]:
    return device.health == HEALTHY, device.pod is None


def _device(name: str, device: DeviceStatus) -> Sequence[Text]:
    health = Text(printable(device.health), style="green" if device.health == HEALTHY else "bold red")
    numa_nodes = ",".join(str(node) for node in device.numa_nodes)
    pod = Text(device.pod or "-", style="cyan" if device.pod else "dim")
    return Text(printable(name)), health, Text(numa_nodes), pod


def _table(*columns: str, right: Sequence[int] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number in right else "left", no_wrap=True, overflow="ellipsis")
    return table


def _one_line(text: Text) -> Text:
    text.no_wrap = True
    text.overflow = "ellipsis"
    return text

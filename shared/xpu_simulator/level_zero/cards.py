"""A simulated GPU as its driver library tells of it: a card at work, with sensors as its model has them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeGuard
from uuid import NAMESPACE_URL, uuid5

from xpu_simulator.device import SimulatedDevice
from xpu_simulator.fabric.state import FAILED, RATE, Port
from xpu_simulator.families.gpu.device import Gpu
from xpu_simulator.families.gpu.models import BY_PCI_ID, Model
from xpu_simulator.level_zero.faults import Fault
from xpu_simulator.level_zero.lines import line
from xpu_simulator.pci import INTEL

SYSMAN_DRIVERS = ("i915", "xe")
GIB = 1 << 30
USUAL = 45.0  # °C of a card at light work
HEALTHS = {"ok": 1, "degraded": 2, "critical": 3, "replace": 4}
HBM, GDDR6 = 0, 17
GLOBAL, GPU, MEMORY = 0, 1, 2  # types of temperature sensors
CARD, PACKAGE = 1, 2  # power domains
COMPUTE_ALL, MEDIA_ALL, COPY_ALL = 1, 2, 3  # engine groups
WEDGED, SPEED, QUALITY_ISSUES = 1, 2, 2
LOST = "0x70000001"
FIRST_CALL = "zesDeviceGetState"  # of every round


def known_to_library(device: SimulatedDevice) -> TypeGuard[Gpu]:
    """Whether the driver library has it."""
    return isinstance(device, Gpu) and device.vendor == INTEL and device.driver in SYSMAN_DRIVERS


def card(gpu: Gpu, fault: Fault, ports: Sequence[Port] = ()) -> Iterator[str]:
    """The lines of one card; none for one that the library does not know."""
    if not known_to_library(gpu):
        return
    model = BY_PCI_ID.get(gpu.pci_id) or Model(pci_id=gpu.pci_id, driver=gpu.driver)
    yield _device(gpu, model, fault)
    tiles: Sequence[int | None] = range(gpu.tiles) if gpu.tiles > 1 else (None,)
    if not model.integrated:
        yield from _sensors(model, fault, tiles, memory=gpu.memory_bytes or model.memory_gib * GIB)
    for tile in tiles:
        yield line("frequency", type=0, subdevice=tile, min=300, max=model.megahertz, actual=model.megahertz * 0.6)
        for engines, busy in ((COMPUTE_ALL, 0.2), (MEDIA_ALL, 0.05), (COPY_ALL, 0.01)):
            yield line("engine", type=engines, subdevice=tile, busy=busy)
    for port in ports:
        yield _port(gpu, port)


def _port(gpu: Gpu, port: Port) -> str:
    up = port.remote is not None
    return line(
        "fabric",
        id=str(port.id),
        remote=str(port.remote) if up else None,
        subdevice=port.place.tile if gpu.tiles > 1 else None,
        status=port.status,
        failure=0 if up else FAILED,
        max_rx=port.lanes,
        max_tx=port.lanes,
        lanes=port.lanes if up else 0,
        max_rate=RATE,
        rate=RATE if up else 0,
        rx_rate=1e9 if up else 0,
        tx_rate=1e9 if up else 0,
    )


def _device(gpu: Gpu, model: Model, fault: Fault) -> str:
    outcome = "crash" if fault.crash else "hang" if fault.hang else LOST if fault.lost else None
    return line(
        "device",
        bdf=gpu.pci_address,
        vendor=hex(gpu.vendor),
        device=hex(gpu.pci_id),
        model=model.title,
        uuid=uuid5(NAMESPACE_URL, f"xpu-simulator/{gpu.pci_address}").hex,
        integrated=model.integrated or None,
        subdevices=gpu.tiles if gpu.tiles > 1 else 0,
        reset=WEDGED if fault.wedged else 0,
        pci_status=QUALITY_ISSUES if fault.bus else None,
        pci_quality=SPEED if fault.bus else None,
        pci_gen=1 if fault.bus else None,
        pci_replays=0,
        pci_rx_rate=2e8,
        pci_tx_rate=1e8,
        **{FIRST_CALL: outcome},
    )


def _sensors(model: Model, fault: Fault, tiles: Iterable[int | None], *, memory: int) -> Iterator[str]:
    """`memory` is each tile's, in bytes."""
    hottest = USUAL if fault.temperature is None else fault.temperature
    yield line("temperature", type=GLOBAL, celsius=hottest, max=105)
    for place, tile in enumerate(tiles):
        cooler = 2.0 * place  # the first tile is the hottest
        yield line("temperature", type=GPU, subdevice=tile, celsius=hottest - cooler, max=105)
        yield line("temperature", type=MEMORY, subdevice=tile, celsius=USUAL - 3 - cooler, max=95)
        yield line(
            "memory",
            type=HBM if model.hbm else GDDR6,
            subdevice=tile,
            physical=memory,
            size=memory - memory // 256,
            free=memory * 3 // 4,
            health=HEALTHS[fault.memory_health or "ok"] if place == 0 else None,
            read_rate=4e9,
            write_rate=2e9,
            max_rate=4e11,
        )
    yield line("power", domain=CARD, watts=model.watts * 0.35, limit=model.watts * 1000)
    yield line("power", domain=PACKAGE, watts=model.watts * 0.3)
    yield line("ras", type=0)
    yield line("ras", type=1)
    yield line("firmware", name="GFX", version="DG02_1.3267")

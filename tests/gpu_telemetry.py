"""What a Level-Zero sidecar would publish of a node's GPUs, for tests of who reads it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from xpu_shared.telemetry.kinds import Group, LinkStatus, MemoryHealth, MemoryKind, Mode, TemperatureKind
from xpu_shared.telemetry.publisher import Publisher
from xpu_shared.telemetry.readings import (
    DeviceReading,
    DeviceSnapshot,
    DeviceState,
    GroupStatus,
    MemoryModule,
    PciLink,
    TemperatureSensor,
    WslDevices,
)

GROUPS = (Group.IDENTITY, Group.STATE, Group.PCI, Group.MEMORY, Group.TEMPERATURE)


def gpu(
    address: str,
    celsius: float | None = 50.0,
    *,
    memory: MemoryHealth = MemoryHealth.OK,
    lost_rounds: int = 0,
    age: float = 0.0,
    uuid: str = "",
    tiles: int = 0,
) -> DeviceReading:
    """A discrete GPU that is well but for what is said."""
    return DeviceReading(
        pci_address=address,
        uuid=uuid,
        integrated=False,
        subdevices=tiles,
        state=DeviceState(wedged=False, repair_needed=False, lost_rounds=lost_rounds),
        pci=PciLink(status=LinkStatus.GOOD, speed_issues=False),
        memory=(MemoryModule(kind=MemoryKind.GDDR6, health=memory, size_bytes=2**34),),
        temperatures=(TemperatureSensor(kind=TemperatureKind.GPU, celsius=celsius),),
        groups=dict.fromkeys(GROUPS, GroupStatus(age=age)),
    )


def gpus(*readings: DeviceReading) -> DeviceSnapshot:
    return DeviceSnapshot(mode=Mode.SYSMAN, devices=readings)


def wsl(*indices: int) -> DeviceSnapshot:
    return DeviceSnapshot(mode=Mode.WSL, wsl=WslDevices(indices=indices, hierarchy="FLAT"))


@contextmanager
def publishing(endpoint: str, *, validity: float = 60.0) -> Iterator[Publisher]:
    """A publisher in this process."""
    publisher = Publisher([endpoint], source="level-zero", node="node-1", validity=validity)
    try:
        publisher.open()
        yield publisher
    finally:
        publisher.close()


PROCESS = """
import asyncio, sys
from gpu_telemetry import gpu, gpus, publishing

async def main():
    with publishing(sys.argv[1], validity=float(sys.argv[2])) as publisher:
        while True:
            publisher.publish(gpus(*(gpu(*pair.split("=")[:1], float(pair.split("=")[1])) for pair in sys.argv[3:])))
            print("published", flush=True)
            await asyncio.sleep(0.1)

asyncio.run(main())
"""


@asynccontextmanager
async def publisher_process(
    endpoint: str, *temperatures: str, validity: float = 3.0
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A publisher in a process of its own, ten times a second: `temperatures` as ADDRESS=CELSIUS; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROCESS, endpoint, str(validity), *temperatures),
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parent)},
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b"published\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()

"""What is measured. Each function returns rows of the table: what, figures, target."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc

from bench.process import RESOURCE, Bench, running
from xpu_plugins.gpu.scan import scan
from xpu_plugins.gpu.settings import GpuSettings
from xpu_shared.policy.sharing import POLICIES
from xpu_simulator.kubelet.events import Event, ListReceived
from xpu_simulator.node import Gpu
from xpu_simulator.tree import SimulatedTree
from xpu_wire import deviceplugin_v1beta1_pb2 as pb
from xpu_wire.deviceplugin_v1beta1_pb2_grpc import DevicePluginStub

Row = tuple[str, str, str]


def milliseconds(seconds: Sequence[float]) -> str:
    ordered = sorted(value * 1000 for value in seconds)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return f"p50 {statistics.median(ordered):.2f}  p99 {p99:.2f}  max {ordered[-1]:.2f} ms  n={len(ordered)}"


def timed(work: Callable[[], object], runs: int) -> list[float]:
    durations = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        durations.append(time.perf_counter() - started)
    return durations


class Lists:
    """The lists a kubelet receives from now on."""

    def __init__(self, bench: Bench) -> None:
        self.received: list[ListReceived] = []
        bench.kubelet.events.subscribe(self._note)

    def _note(self, event: Event) -> None:
        if isinstance(event, ListReceived):
            self.received.append(event)


async def all_healthy(bench: Bench, count: int) -> None:
    await bench.kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == count, timeout=30)


async def start(runs: int) -> list[Row]:
    """Process start to the first list with every device; lists before it would be wrong ones."""
    durations, wrong = [], 0
    for _ in range(runs):
        async with running(8) as bench:
            lists = Lists(bench)
            await all_healthy(bench, 8)
            durations.append(lists.received[-1].at - bench.started)
            wrong += len(lists.received) - 1
    return [
        ("start to first correct list, 8 GPUs", milliseconds(durations), "< 500 ms"),
        ("wrong lists before it", str(wrong), "0"),
    ]


async def hot_plug(times: int) -> list[Row]:
    """Event sent to list received, alternately a removal and an addition."""
    durations = []
    async with running(8) as bench:
        await all_healthy(bench, 8)
        lists = Lists(bench)
        gpu = bench.gpus[3]
        for number in range(times):
            action, count = ("remove", 7) if number % 2 == 0 else ("add", 8)
            (bench.tree.remove_gpu if action == "remove" else bench.tree.add_gpu)(gpu)
            sent = bench.send(action, gpu)
            await all_healthy(bench, count)
            durations.append(max(0.0, lists.received[-1].at - sent))
    return [
        ("hot-plug event to list", milliseconds(durations), "p50 < 50, p99 < 100 ms"),
        ("hot-plugs seen", f"{len(durations)} of {times}", "all"),
    ]


async def kubelet_restarts(times: int) -> list[Row]:
    """A kubelet that listens again to its full list, and what the plugin has kept open."""
    durations = []
    async with running(8) as bench:
        await all_healthy(bench, 8)
        for _ in range(5):  # so that pools and caches have their size
            await bench.kubelet.restart()
            await all_healthy(bench, 8)
        before, before_memory = bench.descriptors_and_threads(), bench.memory()
        for _ in range(times):
            await bench.kubelet.restart()
            listening = time.monotonic()
            await all_healthy(bench, 8)
            durations.append(time.monotonic() - listening)
        after, after_memory = bench.descriptors_and_threads(), bench.memory()
    growth = f"descriptors {before[0]} → {after[0]}, threads {before[1]} → {after[1]}"
    memory = f"anonymous {before_memory[1]:.1f} → {after_memory[1]:.1f} MiB"
    return [
        ("kubelet restart to full list", milliseconds(durations), "p99 < 300 ms"),
        ("kubelet restarts followed", f"{len(durations)} of {times}", "all"),
        ("after them", f"{growth}, {memory}", "no growth"),
    ]


async def allocate(calls: int) -> list[Row]:
    """Allocate of one and of eight GPUs by a Python client, one call at a time."""
    rows: list[Row] = []
    async with running(8) as bench:
        await all_healthy(bench, 8)
        path = bench.kubelet.device_plugins / "gpu.intel.com-i915.sock"
        for count, target in ((1, "p50 < 0.8 ms"), (8, "p50 < 1.2 ms")):
            ids = [f"card{card}-0" for card in range(count)]
            request = pb.AllocateRequest(container_requests=[pb.ContainerAllocateRequest(devices_ids=ids)])

            def client(request: pb.AllocateRequest = request) -> list[float]:
                with grpc.insecure_channel(f"unix:{path}") as channel:
                    stub = DevicePluginStub(channel)
                    timed(lambda: stub.Allocate(request), 20)
                    return timed(lambda: stub.Allocate(request), calls)

            rows.append((f"Allocate of {count}", milliseconds(await asyncio.to_thread(client)), target))
    return rows


async def idle(seconds: float) -> list[Row]:
    """What a plugin does when nothing happens, and the memory it holds."""
    async with running(8) as bench:
        await all_healthy(bench, 8)
        await asyncio.sleep(3)  # its later looks after the start are over
        lists, cpu = Lists(bench), bench.cpu_seconds()
        await asyncio.sleep(seconds)
        used = (bench.cpu_seconds() - cpu) / seconds * 1000
        resident, anonymous = bench.memory()
    return [
        (f"lists sent in {seconds:g} idle s", str(len(lists.received)), "0"),
        ("idle CPU", f"{used:.2f} ms per second", "< 0.5 ms per second"),
        ("memory serving 8 GPUs", f"resident {resident:.1f}, anonymous {anonymous:.1f} MiB", "resident ≤ 42 MiB"),
    ]


async def memory_with_metrics() -> list[Row]:
    async with running(8, "--metrics-address=127.0.0.1:0") as bench:
        await all_healthy(bench, 8)
        resident, anonymous = bench.memory()
    return [("memory with metrics", f"resident {resident:.1f}, anonymous {anonymous:.1f} MiB", "resident ≤ 49 MiB")]


async def health(times: int) -> list[Row]:
    """A sidecar's message sent to list received, alternately of a hot GPU and a cool one; what such a plugin costs."""
    from gpu_telemetry import gpu, gpus, publishing

    durations = []
    with tempfile.TemporaryDirectory(prefix="xpu-bench-") as directory:
        endpoint = f"ipc://{directory}/run/telemetry.sock"
        flags = (f"--telemetry={endpoint}", "--health-leave-dwell=0", "--metrics-address=127.0.0.1:0")
        with publishing(endpoint, validity=3600.0) as publisher:
            async with running(8, *flags) as bench:
                addresses = [gpu.pci_address for gpu in bench.gpus]
                await all_healthy(bench, 8)
                lists = Lists(bench)
                for number in range(times):
                    hot, count = (112.0, 7) if number % 2 == 0 else (50.0, 8)
                    await asyncio.sleep(0.1)  # messages come seldom; a flood is slowed down on purpose
                    readings = [gpu(address, hot if address == addresses[3] else 50.0) for address in addresses]
                    sent = time.monotonic()
                    publisher.publish(gpus(*readings))
                    await all_healthy(bench, count)
                    durations.append(max(0.0, lists.received[-1].at - sent))
                cpu, started = bench.cpu_seconds(), time.monotonic()
                for _ in range(10):
                    publisher.publish(gpus(*(gpu(address) for address in addresses)))
                    await asyncio.sleep(1)
                used = (bench.cpu_seconds() - cpu) / (time.monotonic() - started) * 1000
                resident, anonymous = bench.memory()
    return [
        ("telemetry message to list", milliseconds(durations), "p50 < 20 ms"),
        ("changes of health seen", f"{len(durations)} of {times}", "all"),
        ("CPU with a message each second", f"{used:.2f} ms per second", "-"),
        (
            "memory with telemetry and metrics",
            f"resident {resident:.1f}, anonymous {anonymous:.1f} MiB",
            "resident ≤ 49 MiB",
        ),
    ]


def scans(runs: int) -> list[Row]:
    rows: list[Row] = []
    for count, target in ((8, "-"), (64, "p50 ≤ 20 ms")):
        with tempfile.TemporaryDirectory(prefix="xpu-bench-") as directory:
            tree = SimulatedTree(Path(directory), device_nodes=False)
            for card in range(count):
                tree.add_gpu(Gpu(card=card, numa_node=card % 2))
            settings = GpuSettings(sysfs_root=tree.sysfs, dev_root=tree.dev)
            rows.append((f"scan of {count} GPUs", milliseconds(timed(lambda: scan(settings), runs)), target))  # noqa: B023 - called at once
    return rows


def preferences(runs: int) -> list[Row]:
    """Eight of 64 GPUs with sixteen ids each."""
    available = [f"card{card}-{alias}" for card in range(64) for alias in range(16)]
    return [
        (f"preference {name}, 8 of 1024 ids", milliseconds(timed(lambda: policy(available, [], 8), runs)), "≤ 10 ms")  # noqa: B023 - called at once
        for name, policy in POLICIES.items()
    ]

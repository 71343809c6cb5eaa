"""What is measured. Each function returns rows of the table: what, figures, target."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path

import grpc

from bench.calls import activity
from bench.figures import Row, milliseconds
from bench.process import OURS, RESOURCE, Bench, memory_text, running
from xpu_plugins.dsa.program import dsa_plugin
from xpu_plugins.dsa.settings import DsaSettings
from xpu_plugins.gpu.scan import scan
from xpu_plugins.gpu.settings import GpuSettings
from xpu_shared.kubelet.messages import LARGEST_LIST, list_message
from xpu_shared.policy.sharing import POLICIES
from xpu_simulator.kubelet.events import Event, ListReceived
from xpu_simulator.node import Gpu, Node
from xpu_simulator.tree import SimulatedTree
from xpu_wire import deviceplugin_v1beta1_pb2 as pb
from xpu_wire.deviceplugin_v1beta1_pb2_grpc import DevicePluginStub


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


async def start(runs: int, command: str = OURS) -> list[Row]:
    """Process start to the first list with every device; lists before it would be wrong ones."""
    durations, wrong = [], 0
    for _ in range(runs):
        async with running(8, command=command) as bench:
            lists = Lists(bench)
            await all_healthy(bench, 8)
            durations.append(lists.received[-1].at - bench.started)
            wrong += len(lists.received) - 1
    return [
        ("start to first correct list, 8 GPUs", milliseconds(durations), "< 500 ms"),
        ("wrong lists before it", str(wrong), "0"),
    ]


async def hot_plug(times: int, command: str = OURS) -> list[Row]:
    """Event sent to list received, alternately a removal and an addition."""
    durations = []
    async with running(8, command=command) as bench:
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


async def kubelet_restarts(times: int, command: str = OURS) -> list[Row]:
    """A kubelet that listens again to its full list, and what the plugin has kept open."""
    durations = []
    async with running(8, command=command) as bench:
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


async def allocate(calls: int, command: str = OURS) -> list[Row]:
    """Allocate of one, eight and 64 GPUs by a Python client, and by eight such clients at once."""
    rows: list[Row] = []
    async with running(64, command=command) as bench:
        await all_healthy(bench, 64)
        path = bench.kubelet.device_plugins / bench.kubelet.registrations[-1].endpoint
        ids = sorted(bench.kubelet.resources[RESOURCE].devices)
        for count, clients, target in (
            (1, 1, "p50 < 0.8 ms"),
            (8, 1, "p50 < 1.2 ms"),
            (64, 1, "-"),
            (1, 8, "-"),
            (8, 8, "-"),
            (64, 8, "-"),
        ):
            asked = [pb.ContainerAllocateRequest(devices_ids=ids[:count])]
            client = partial(_client, f"unix:{path}", pb.AllocateRequest(container_requests=asked), calls // clients)
            durations = await asyncio.gather(*(asyncio.to_thread(client) for _ in range(clients)))
            what = f"Allocate of {count}" + (f", {clients} clients at once" if clients > 1 else "")
            rows.append((what, milliseconds([one for each in durations for one in each]), target))
    return rows


def _client(target: str, request: pb.AllocateRequest, calls: int) -> list[float]:
    with grpc.insecure_channel(target, options=(("grpc.use_local_subchannel_pool", 1),)) as channel:
        stub = DevicePluginStub(channel)
        timed(lambda: stub.Allocate(request), 20)
        return timed(lambda: stub.Allocate(request), calls)


async def against(command: str, *, quick: bool) -> list[Row]:
    """What another plugin does at the same kubelet on the same nodes; what it fails at is said instead of a figure."""
    rows: list[Row] = []
    parts: dict[str, Callable[[], Coroutine[None, None, list[Row]]]] = {
        "start": lambda: start(3 if quick else 11, command),
        "hot-plug": lambda: hot_plug(4 if quick else 20, command),  # a plugin that polls takes seconds
        "kubelet restarts": lambda: kubelet_restarts(5 if quick else 50, command),
        "Allocate": lambda: allocate(200 if quick else 2000, command),
        "idle": lambda: idle(5 if quick else 60, command),
    }
    for name, measure in parts.items():
        try:
            rows += await measure()
        except (TimeoutError, OSError, grpc.RpcError) as error:
            rows.append((name, f"failed: {str(error) or type(error).__name__}", "-"))
    return [(f"other plugin: {what}", found, "-") for what, found, _ in rows]


async def idle(seconds: float, command: str = OURS) -> list[Row]:
    """What a plugin does when nothing happens, and the memory it holds."""
    async with running(8, command=command) as bench:
        await all_healthy(bench, 8)
        await asyncio.sleep(3)  # its later looks after the start are over
        lists, cpu = Lists(bench), bench.cpu_seconds()
        await asyncio.sleep(seconds)
        used = (bench.cpu_seconds() - cpu) / seconds * 1000
        used_memory = memory_text(bench.process.pid)
        calls = await activity(bench.process.pid, min(seconds, 20.0))
    return [
        (f"lists sent in {seconds:g} idle s", str(len(lists.received)), "0"),
        ("idle CPU", f"{used:.2f} ms per second", "< 0.5 ms per second"),
        ("idle calls", calls, "-"),
        ("memory serving 8 GPUs", used_memory, "resident ≤ 42 MiB"),
    ]


async def memory_with_metrics() -> list[Row]:
    async with running(8, "--metrics-address=127.0.0.1:0") as bench:
        await all_healthy(bench, 8)
        return [("memory with metrics", memory_text(bench.process.pid), "resident ≤ 49 MiB")]


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
                used_memory = memory_text(bench.process.pid)
    return [
        ("telemetry message to list", milliseconds(durations), "p50 < 20 ms"),
        ("changes of health seen", f"{len(durations)} of {times}", "all"),
        ("CPU with a message each second", f"{used:.2f} ms per second", "-"),
        ("memory with telemetry and metrics", used_memory, "resident ≤ 49 MiB"),
    ]


def scans(runs: int) -> list[Row]:
    """Of GPUs, of which a node has 128 at most, and of work queues; and what the lists of GPUs weigh."""
    rows: list[Row] = []
    for count, target in ((8, "-"), (64, "p50 ≤ 20 ms"), (128, "-")):
        with tempfile.TemporaryDirectory(prefix="xpu-bench-") as directory:
            tree = SimulatedTree(Path(directory), device_nodes=False)
            for card in range(count):
                tree.add_gpu(Gpu(card=card, numa_node=card % 2))
            settings = GpuSettings(sysfs_root=tree.sysfs, dev_root=tree.dev)
            rows.append((f"scan of {count} GPUs", milliseconds(timed(lambda: scan(settings), runs)), target))  # noqa: B023 - called at once
            rows += [_list_size(settings, count, shares) for shares in (1, 16)]
    rows.append(_scan_of_queues(runs))
    return rows


def _list_size(settings: GpuSettings, gpus: int, shares: int) -> Row:
    devices = scan(replace(settings, shared_dev_num=shares)).devices["i915"]
    size = list_message(devices).ByteSize()
    return f"list of {gpus} GPUs, {shares} ids each", f"{size} bytes", f"≤ {LARGEST_LIST} bytes"


def _scan_of_queues(runs: int) -> Row:
    """Of 32 DSA devices with eight queues each."""
    with tempfile.TemporaryDirectory(prefix="xpu-bench-") as directory:
        tree = SimulatedTree(Path(directory), device_nodes=False)
        queues = [{"mode": "shared" if number % 2 else "dedicated", "size": 16} for number in range(8)]
        for device in Node.model_validate({"dsa": [{"queues": queues} for _ in range(32)]}).devices:
            tree.add(device)
        plugin = dsa_plugin(DsaSettings(sysfs_root=tree.sysfs, dev_root=tree.dev))
        found = plugin.scan()
        assert sum(map(len, found.devices.values())) == 256, found.problems
        return "scan of 256 work queues of 32 DSA devices", milliseconds(timed(plugin.scan, runs)), "-"


def preferences(runs: int) -> list[Row]:
    """Eight of 64 GPUs with sixteen ids each."""
    available = [f"card{card}-{alias}" for card in range(64) for alias in range(16)]
    return [
        (f"preference {name}, 8 of 1024 ids", milliseconds(timed(lambda: policy(available, [], 8), runs)), "≤ 10 ms")  # noqa: B023 - called at once
        for name, policy in POLICIES.items()
    ]

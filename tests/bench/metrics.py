"""The metrics page of the Level-Zero sidecar with 64 GPUs and 200 pods, node labels, and pods that come and go."""

import asyncio
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.figures import Row, milliseconds
from bench.process import memory_text
from bench.sidecar import sidecar
from churn import RESOURCE, Churn, Scrapes
from framework import DemoPlugin, running, unit
from monitored_node import free_port
from sidecars.level_zero.readings import gpu
from xpu_shared.kubelet.holders import Holder
from xpu_shared.program.prepared import Prepared
from xpu_shared.telemetry.readings import DeviceSnapshot
from xpu_sidecars.level_zero.attribution import attribute
from xpu_sidecars.level_zero.series import series
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.level_zero.faults import WELL, Fault
from xpu_simulator.node import Gpu
from xpu_simulator.tree import SimulatedTree

GPUS, PODS, SHARED = 64, 200, 4


def rendering(runs: int) -> list[Row]:
    """All of what happens for one snapshot, in the thread that does it."""
    devices = tuple(gpu(f"0000:{card:02x}:00.0") for card in range(GPUS))
    snapshot = DeviceSnapshot(devices=devices)
    cards = {card: device.pci_address for card, device in enumerate(devices)}
    ids = [(f"card{card}-{part}", f"pod-{card}-{part}") for card in range(GPUS) for part in range(SHARED)][:PODS]
    holders = {(RESOURCE, id_): frozenset({Holder("default", pod, "main")}) for id_, pod in ids}
    prepared = Prepared(list)
    for openmetrics in (False, True):
        prepared.page(openmetrics=openmetrics, compressed=True)  # so that all forms are wanted
    durations = []
    for _ in range(runs):
        began = time.perf_counter()
        attribution = attribute(holders, {}, cards=cards, resource_namespace="gpu.intel.com")
        made = series(
            snapshot,
            attribution,
            present=frozenset(cards.values()),
            taken=time.time(),
            holders_known=time.time(),
            interval=1.0,
        )
        prepared.render(made)
        durations.append(time.perf_counter() - began)
    lines = made.text(openmetrics=False).count("\n")
    what = f"rendering {GPUS} GPUs, {PODS} pods, {lines} lines, all forms"
    return [(what, milliseconds(durations), "max < 100 ms")]


@asynccontextmanager
async def kubelet(root: Path, gpus: int) -> AsyncIterator[SimulatedKubelet]:
    """A kubelet beside a plugin that offers so many GPUs, in this process."""
    ids = [unit(f"card{card}-{part}") for card in range(gpus) for part in range(SHARED)]
    async with running(root, DemoPlugin(devices={"i915": ids}, namespace="gpu.intel.com")) as node:
        await node.kubelet.wait_for_list(RESOURCE)
        yield node.kubelet


async def scraping(times: int) -> list[Row]:
    """Scrapes as Prometheus makes them, while snapshots arrive every second."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="xpu-k-") as directory:
        root = Path(directory)
        tree, gpus = SimulatedTree(root, device_nodes=False), [Gpu(card=card) for card in range(GPUS)]
        for each in gpus:
            tree.add_gpu(each)
        flags = (f"--metrics-address=127.0.0.1:{port}", f"--sysfs-root={tree.sysfs}", f"--kubelet-dir={root}")
        async with (
            sidecar({each.name or f"gpu{each.card}": each for each in gpus}, *flags) as measured,
            kubelet(root, GPUS) as pods,
        ):
            for number in range(PODS):
                await pods.admit(f"pod-{number}", {RESOURCE: 1})
            url = f"http://127.0.0.1:{port}/metrics"
            await asyncio.to_thread(_complete, url)
            scraper = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bench.scraper", url, str(times), stdout=asyncio.subprocess.PIPE
            )
            output, _ = await scraper.communicate()
            found = [line.split() for line in output.decode().splitlines()]
            durations, size = [float(seconds) for seconds, _ in found], int(found[-1][1])
            used = memory_text(measured.pid)
    return [
        (
            f"scrape of {GPUS} GPUs, {PODS} pods, {size // 1024} KiB gzip",
            milliseconds(durations),
            "p99 < 20 ms",
        ),
        (f"sidecar with {GPUS} GPUs and attribution, its child apart", used, ""),
        *await _with_attribution(),
    ]


async def _with_attribution() -> list[Row]:
    """Memory of an ordinary node's sidecar that also asks for pods."""
    with tempfile.TemporaryDirectory(prefix="xpu-k-") as directory:
        root = Path(directory)
        port = free_port()
        tree, gpus = SimulatedTree(root, device_nodes=False), [Gpu(card=card) for card in range(8)]
        for each in gpus:
            tree.add_gpu(each)
        flags = (f"--metrics-address=127.0.0.1:{port}", f"--sysfs-root={tree.sysfs}", f"--kubelet-dir={root}")
        async with sidecar({f"gpu{each.card}": each for each in gpus}, *flags) as measured, kubelet(root, 8) as pods:
            for number in range(20):
                await pods.admit(f"pod-{number}", {RESOURCE: 1})
            await asyncio.to_thread(_complete, f"http://127.0.0.1:{port}/metrics", 20)
            await asyncio.sleep(5)
            return [
                ("sidecar with 8 GPUs and attribution, its child apart", memory_text(measured.pid), "resident ≤ 48 MiB")
            ]


def _complete(url: str, pods: int = PODS) -> None:
    """Wait until all pods are on the page."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.read().count(b"\nxpu_gpu_allocation_info{") >= pods:
                    return
        except OSError:
            pass  # it is starting
        if time.monotonic() > deadline:
            raise TimeoutError("not all pods are on the page")
        time.sleep(0.1)


async def labels(times: int) -> list[Row]:
    """From a fault in the library to the feature file."""
    gpus = {f"gpu{card}": Gpu(card=card) for card in range(8)}
    durations = []
    with tempfile.TemporaryDirectory(prefix="xpu-l-") as directory:
        path = Path(directory) / "xpu-level-zero.txt"
        async with sidecar(gpus, f"--features-dir={directory}") as measured:
            for number in range(times + 1):
                fault, word = (Fault(wedged=True), "failed") if number % 2 else (WELL, "ok")
                await asyncio.sleep(6.0 if number > 8 else number * 0.1)  # writes are bounded
                changed = time.monotonic()
                measured.library.fault("gpu3", fault, clear=True)
                measured.library.show(gpus.values())
                async with asyncio.timeout(20):
                    while not (path.exists() and f"xpu-health={word}\n" in path.read_text()):  # noqa: ASYNC110 - a file
                        await asyncio.sleep(0.002)
                durations.append(time.monotonic() - changed)
    return [
        (
            "fault in the library to label in file",
            milliseconds(durations[1:]),
            "max < 2,000 ms: a sampling period + 1 s",
        )
    ]


async def churn(seconds: float) -> list[Row]:
    """Ten starts and stops of pods a second; each page is compared with what was true."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="xpu-c-") as directory:
        root = Path(directory)
        tree, gpus = SimulatedTree(root, device_nodes=False), [Gpu(card=card) for card in range(8)]
        for each in gpus:
            tree.add_gpu(each)
        flags = (f"--metrics-address=127.0.0.1:{port}", f"--sysfs-root={tree.sysfs}", f"--kubelet-dir={root}")
        async with sidecar({f"gpu{each.card}": each for each in gpus}, *flags), kubelet(root, 8) as pods:
            url = f"http://127.0.0.1:{port}/metrics"
            changes, scrapes = Churn(pods, {f"card{each.card}": each.pci_address for each in gpus}), Scrapes()
            await pods.admit("first", {RESOURCE: 1})
            await asyncio.to_thread(_complete, url, 1)
            pods.delete("first")
            await asyncio.sleep(3)
            await asyncio.gather(
                scrapes.run(url, changes, seconds=seconds, pause=0.2), changes.run(seconds=seconds, per_second=10)
            )
    measured = f"{len(scrapes.wrong)} wrong of {scrapes.pages} pages, oldest {scrapes.oldest:.1f} s"
    return [(f"{changes.changes} starts and stops of pods in {seconds:g} s", measured, "0 wrong, oldest ≤ 5 s")]

"""The page of a real sidecar with a real library, and pods of a simulated kubelet, from the outside."""

import asyncio
import gzip
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from churn import RESOURCE, Churn, Scrapes, scrape
from framework import DemoPlugin, running, unit
from level_zero import Scenario
from sidecars.level_zero.program import Program, directory, sidecar
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.level_zero.lines import line
from xpu_simulator.node import Gpu
from xpu_simulator.tree import SimulatedTree

SHARED = 2  # ids of each card


@dataclass
class Machine:
    root: Path
    gpus: list[Gpu]
    program: Program

    @property
    def url(self) -> str:
        self.program.page("/readyz")  # the port is in the log
        port = re.findall(r"port=(\d+)", self.program.log)[-1]
        return f"http://127.0.0.1:{port}/metrics"

    @property
    def addresses(self) -> Mapping[str, str]:
        return {f"card{gpu.card}": gpu.pci_address for gpu in self.gpus}

    def text(self, **headers: str) -> tuple[str, str]:
        """Content type and text of the metrics page."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with urllib.request.urlopen(urllib.request.Request(self.url, headers=named), timeout=5) as answer:
            body = answer.read()
            if answer.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            return answer.headers["Content-Type"], body.decode()

    def value(self, sample: str) -> float:
        """The value of a sample by its beginning; KeyError when it is not there."""
        for found in self.text()[1].splitlines():
            if found.startswith(sample):
                return float(found.rpartition(" ")[2])
        raise KeyError(sample)

    def wait(self, sample: str, *, within: float = 15.0) -> float:
        deadline = time.monotonic() + within
        while True:
            try:
                return self.value(sample)
            except KeyError:
                assert time.monotonic() < deadline, f"no {sample} in:\n{self.text()[1]}"
            time.sleep(0.05)

    @property
    def features(self) -> list[str]:
        return (self.root / "xpu-level-zero.txt").read_text().splitlines()


@contextmanager
def machine(library: Scenario, count: int, *arguments: str) -> Iterator[Machine]:
    """A node with GPUs that its library knows, and a sidecar; `library` can be changed while it runs."""
    with directory() as root:
        tree = SimulatedTree(root, device_nodes=False)
        gpus = [Gpu(card=card) for card in range(count)]
        for gpu in gpus:
            tree.add_gpu(gpu)
        show(library, gpus)
        flags = (
            f"--library={library.library}",
            f"--publish=ipc://{root}/s/level-zero.sock",
            f"--sysfs-root={tree.sysfs}",
            f"--kubelet-dir={root}",
            f"--features-dir={root}",
            "--metrics-address=127.0.0.1:0",
        )
        with sidecar(*flags, *arguments) as program:
            yield Machine(root, gpus, program)


def show(library: Scenario, gpus: list[Gpu], **outcomes: object) -> None:
    """All GPUs are well, but for what calls for the first one end with."""
    lines = [line("driver")]
    for place, gpu in enumerate(gpus):
        lines += [
            line("device", bdf=gpu.pci_address, **(outcomes if place == 0 else {})),
            line("temperature", type=1, celsius=50 + place),
            line("memory", size=1 << 34, physical=1 << 34, free=1 << 33, health=1),
        ]
    library.says(*lines)


@asynccontextmanager
async def kubelet_with(node: Machine) -> AsyncIterator[SimulatedKubelet]:
    """A kubelet that knows the node's GPUs from a plugin."""
    ids = [unit(f"card{gpu.card}-{number}") for gpu in node.gpus for number in range(SHARED)]
    plugin = DemoPlugin(devices={"i915": ids}, namespace="gpu.intel.com")
    async with running(node.root, plugin) as framework:
        await framework.kubelet.wait_for_list(RESOURCE)
        yield framework.kubelet


def test_the_page_has_every_device_and_is_served_in_all_forms(library: Scenario) -> None:
    with machine(library, 2, "--sampling-interval=100ms") as node:
        for gpu in node.gpus:
            assert node.wait(f'hw_temperature_celsius{{pci_bdf="{gpu.pci_address}"') in (50.0, 51.0)
        assert node.value("xpu_source_up") == 1
        assert abs(node.value("xpu_snapshot_timestamp_seconds") - time.time()) < 5
        content_type, text = node.text()
        assert "version=0.0.4" in content_type
        content_type, openmetrics = node.text(
            Accept="application/openmetrics-text;version=1.0.0", Accept_Encoding="gzip"
        )
        assert "openmetrics" in content_type
        assert openmetrics.endswith("# EOF\n")
        names = {sample.partition("{")[0] for sample in text.splitlines() if sample.startswith("hw_")}
        assert names
        assert names == {sample.partition("{")[0] for sample in openmetrics.splitlines() if sample.startswith("hw_")}
        assert "hw_power_watts" not in names  # these GPUs do not tell


def test_while_the_library_hangs_the_page_comes_at_once_and_says_how_old_it_is(library: Scenario) -> None:
    with machine(library, 2, "--sampling-interval=100ms") as node:
        hanging, well = (f'xpu_sample_timestamp_seconds{{pci_bdf="{gpu.pci_address}"}}' for gpu in node.gpus)
        node.wait(hanging)
        show(library, node.gpus, zesDeviceGetState="hang")
        deadline = time.monotonic() + 15
        while node.value(well) - node.value(hanging) < 1.5:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        asked = time.monotonic()
        text = node.text()[1]
        assert time.monotonic() - asked < 1.0
        assert node.gpus[0].pci_address in text
        assert time.time() - node.value(hanging) > 1.0
        assert time.time() - node.value(well) < 5.0


@pytest.mark.parametrize(
    "calls",
    [
        "0x70000001",  # lost, as libraries call what is pulled out
        "crash",
        "0",  # what it was, which nobody can measure any more
    ],
)
def test_a_device_that_is_gone_has_no_series_whatever_the_library_says(library: Scenario, calls: str) -> None:
    with machine(library, 2, "--sampling-interval=100ms") as node:
        gone, stays = node.gpus
        node.wait(f'hw_temperature_celsius{{pci_bdf="{gone.pci_address}"')
        until(lambda: "card0" in "".join(node.features))
        SimulatedTree(node.root, device_nodes=False).remove(gone)
        show(library, node.gpus, zesDeviceGetState=calls)
        deadline = time.monotonic() + 10
        while gone.pci_address in node.text()[1]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        node.wait(f'hw_temperature_celsius{{pci_bdf="{stays.pci_address}"')
        until(lambda: f"gpu.intel.com/memory.max={1 << 34}" in node.features)
        assert "card0" not in "".join(node.features)


def test_labels_are_in_the_file_within_a_second_and_stay_when_the_sidecar_ends(library: Scenario) -> None:
    with machine(library, 2, "--sampling-interval=100ms") as node:
        node.wait('xpu_label_writes_total{sink="nfd"}')
        until((node.root / "xpu-level-zero.txt").exists)
        assert node.features[0].startswith("# +expiry-time=")
        assert f"gpu.intel.com/memory.max={2 << 34}" in node.features
        assert "gpu.intel.com/xpu-health=ok" in node.features
        show(library, node.gpus, reset=1)
        changed = time.monotonic()
        until(lambda: "gpu.intel.com/xpu-card0.health=failed" in node.features)
        assert time.monotonic() - changed < 1.0 + 1.0  # and what a busy machine takes
        before = node.features
        assert node.program.end() == 0
        assert node.features == before


def test_labels_can_be_taken_away_at_the_end(library: Scenario) -> None:
    with machine(library, 1, "--sampling-interval=100ms", "--remove-labels-on-exit") as node:
        until((node.root / "xpu-level-zero.txt").exists)
        assert node.program.end() == 0
        assert not (node.root / "xpu-level-zero.txt").exists()


def test_no_label_is_written_while_the_library_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "xpu-level-zero.txt").write_text("gpu.intel.com/memory.max=1\n")  # of an earlier life
    flags = (f"--features-dir={tmp_path}", f"--kubelet-dir={tmp_path}", f"--publish=ipc://{tmp_path}/s.sock")
    with sidecar("--library=libabsent.so.1", "--metrics-address=127.0.0.1:0", *flags) as program:
        until(lambda: program.page("/readyz")[0] == 200)
        assert "xpu_source_up 0" in program.page("/metrics")[1]
    assert (tmp_path / "xpu-level-zero.txt").read_text() == "gpu.intel.com/memory.max=1\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--label-sink=node",), "--label-sink=node: KUBERNETES_SERVICE_HOST is not set"),
        (("--label-sink=none", "--label-sink=nfd"), "--label-sink=none"),
        (("--label-namespace=A_b",), "--label-namespace"),
        (("--resource-namespace=",), "--resource-namespace"),
    ],
)
def test_a_sink_or_name_that_cannot_be_used_ends_the_program_with_2(arguments: tuple[str, ...], expected: str) -> None:
    program = Program(*arguments)
    assert program.end_by_itself() == 2
    assert expected in program.log


def test_nothing_costly_is_imported_before_it_is_needed() -> None:
    """gRPC comes with the kubelet's socket, YAML with a file, TLS with --label-sink=node, the library in a child."""
    code = (
        "import sys, xpu_sidecars.level_zero.__main__, xpu_sidecars.level_zero.sidecar,"
        " xpu_sidecars.level_zero.observation; print(*({'grpc', 'prometheus_client', 'yaml', 'pydantic', 'ctypes',"
        " 'xpu_shared.api_server', 'xpu_wire.podresources_v1_pb2'} & sys.modules.keys()))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.split() == []


async def test_pods_are_named_soon_after_they_start_and_not_after_they_end(library: Scenario) -> None:
    with machine(library, 2) as node:
        await asyncio.to_thread(node.program.read_until, "no pods in metrics until the kubelet's socket is there")
        async with kubelet_with(node) as kubelet:
            first = await kubelet.admit("train", {RESOURCE: SHARED * len(node.gpus)})
            assert first.running
            await appears(node, "xpu_gpu_allocation_info{", count=2, within=10)
            page = await asyncio.to_thread(scrape, node.url)
            assert page.exclusive == dict.fromkeys(node.addresses.values(), "train")
            kubelet.delete("train")
            began = time.monotonic()
            await appears(node, "xpu_gpu_allocation_info{", count=0, within=10)
            assert time.monotonic() - began < 10
            assert not re.search(r'pod="[^"]', (await asyncio.to_thread(node.text))[1])


async def test_churn_of_ten_pods_a_second_is_never_told_wrong(library: Scenario) -> None:
    with machine(library, 4) as node:
        url = await asyncio.to_thread(lambda: node.url)
        async with kubelet_with(node) as kubelet:
            churn, scrapes = Churn(kubelet, node.addresses), Scrapes()
            await appears(node, "xpu_pod_resources_last_success_timestamp_seconds", count=1, within=20)
            await asyncio.gather(scrapes.run(url, churn, seconds=8, pause=0.1), churn.run(seconds=8, per_second=10))
    assert scrapes.wrong == []
    assert churn.changes >= 60
    assert scrapes.with_pods > 10
    assert scrapes.oldest < 5.0


async def appears(node: Machine, beginning: str, *, count: int, within: float) -> None:
    """Wait until so many samples begin like that."""
    async with asyncio.timeout(within):
        while True:
            lines = (await asyncio.to_thread(node.text))[1].splitlines()
            if sum(found.startswith(beginning) for found in lines) == count:
                return
            await asyncio.sleep(0.05)


def until(holds: object, *, within: float = 15.0) -> None:
    assert callable(holds)
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)

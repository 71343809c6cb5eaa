"""Rolling updates of the GPU plugin's DaemonSet: how long the node is without its GPUs."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.installation import Installation, Loader, finished_at, installed, roots
from cluster.machine import Cluster, wait_until
from xpu_simulator.node import Gpu, Node
from xpu_simulator.simulated_node import SimulatedNode

pytestmark = pytest.mark.usefixtures("swept")


@pytest.fixture
def hardware(tmp_path: Path) -> SimulatedNode:
    description = Node(gpus=[Gpu(card=card, numa_node=card // 2) for card in range(4)])
    return SimulatedNode(description, tmp_path / "node", tmp_path / "node/uevents")


class Watch:
    """Looks at the node's counts again and again, and hears of all that becomes of the pods."""

    def __init__(self, cluster: Cluster, installation: Installation) -> None:
        self.wrong: list[tuple[float, int]] = []  # seconds since 1970, allocatable
        self.looks = 0
        self.ends: dict[str, float] = {}  # of pods by name, seconds since 1970
        self._cluster = cluster
        self._installation = installation

    @contextmanager
    def at_work(self) -> Iterator[None]:
        over = threading.Event()

        def look() -> None:
            while not over.is_set():
                _, allocatable = self._cluster.gpus()
                if allocatable != 4:
                    self.wrong.append((time.time(), allocatable))
                self.looks += 1

        thread = threading.Thread(target=look)
        with self._cluster.following("pods", "-l", self._installation.selector) as seen:
            thread.start()
            try:
                yield
            finally:
                over.set()
                thread.join()
        self.ends = {pod["metadata"]["name"]: end for pod in seen if (end := finished_at(pod)) is not None}


def replaced(installation: Installation, old: str) -> bool:
    return installation.is_ready() and all(pod["metadata"]["name"] != old for pod in installation.pods())


def test_after_an_update_the_gpus_are_back_five_seconds_after_the_old_pods_end(
    cluster: Cluster, load: Loader, hardware: SimulatedNode
) -> None:
    load("intel-gpu-plugin")
    tree = hardware.tree.root
    with installed(cluster, "gpu_plugin/base", tree, {"intel-gpu-plugin": roots(tree)}) as installation:
        cluster.wait_for_gpus(capacity=4, allocatable=4)
        cluster.run_pod("user", 1)
        cluster.wait_for_phase("user", "Running")
        (old,) = (pod["metadata"]["name"] for pod in installation.pods())
        watch = Watch(cluster, installation)
        with watch.at_work():
            installation.update()
            wait_until(lambda: replaced(installation, old), installation.story, seconds=60)
            cluster.wait_for_gpus(capacity=4, allocatable=4)
        assert watch.wrong, "the old pod ended and nothing was seen of it"
        back = max(moment for moment, _ in watch.wrong) - watch.ends[old]
        print(f"allocatable back {back:.1f} s after the old pod's end, {watch.looks} looks")
        assert back < 5
        assert cluster.pod("user")["status"]["phase"] == "Running"
        assert cluster.holders()["user"]


def test_with_surge_and_an_instances_own_sockets_the_gpus_never_go(
    cluster: Cluster, load: Loader, hardware: SimulatedNode
) -> None:
    load("intel-gpu-plugin")
    tree = hardware.tree.root
    arguments = [*roots(tree)[:3], f"--uevent-socket={tree}/uevents-$(POD_UID)"]
    with installed(cluster, "gpu_plugin/overlays/surge", tree, {"intel-gpu-plugin": arguments}) as installation:
        cluster.wait_for_gpus(capacity=4, allocatable=4)
        (old,) = (pod["metadata"]["name"] for pod in installation.pods())
        watch = Watch(cluster, installation)
        with watch.at_work():
            installation.update()
            wait_until(lambda: replaced(installation, old), installation.story, seconds=60)
            gone = watch.looks
            wait_until(lambda: watch.looks > gone + 20, lambda: "twenty looks more", seconds=30)
        assert watch.wrong == []
        cluster.run_pod("user", 4)
        cluster.wait_for_phase("user", "Running")

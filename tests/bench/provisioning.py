"""What provisioning takes of its own: eight DSA devices with eight queues each, on a simulated kernel."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.figures import Row
from layouts import layout, queue
from provisioned import IdxdNode, Interposed
from xpu_simulator.families.idxd.device import Dsa

DEVICES, QUEUES = 8, 8


class Timed(Interposed):
    """Knows how long the simulated kernel has worked on writes."""

    seconds = 0.0

    def write(self, path: str, text: str) -> None:
        started = time.perf_counter()
        super().write(path, text)
        self.seconds += time.perf_counter() - started


def provisioning(runs: int) -> list[Row]:
    """Start-up and plan of the program as a process, and all writes without the kernel's time for them."""
    program = Path(sys.executable).with_name("xpu-idxd-provision")
    with tempfile.TemporaryDirectory(prefix="xpu-bench-") as directory:
        node = IdxdNode(Path(directory), *(Dsa(number=2 * number) for number in range(DEVICES)))
        file = node.file(layout(*(queue(number) for number in range(QUEUES))))
        command = [str(program), "plan", f"--config={file}", f"--sysfs-root={node.tree.sysfs}", "--output=json"]
        plans = []
        for _ in range(runs):
            started = time.perf_counter()
            done = subprocess.run(command, check=True, capture_output=True)
            plans.append(time.perf_counter() - started)
        writes = sum(len(device["writes"]) for device in json.loads(done.stdout)["devices"])
        kernel = Timed(node.sysfs)
        started = time.perf_counter()
        node.apply(file, sysfs=kernel)
        own = time.perf_counter() - started - kernel.seconds
    what = f"{DEVICES} DSA devices with {QUEUES} queues"
    return [
        (f"{what}: start, read, plan {writes} writes", f"{median(plans):.3f} s", ""),
        ("  and apply them, without the kernel's time", f"{median(plans) + own:.3f} s", "< 1 s"),
    ]

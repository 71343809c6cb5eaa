"""How long a plugin in a pod takes to start, as the machine sees it: from its process's start to lines of its log."""

import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path

from cluster.installation import Installation

STAMP = re.compile(r"[IWEF](\d{4} \d{2}:\d{2}:\d{2}\.\d{6})")  # klog's, which has no year
REGISTERED = "registered with the kubelet"


def told(installation: Installation, tree: Path) -> str:
    """One line: when its first line came and when it had registered, under which limit of CPU."""
    (pod,) = installation.pods()
    (container,) = pod["spec"]["containers"]
    lines = installation.kubectl("logs", pod["metadata"]["name"]).splitlines()
    begun = process_start(f"--sysfs-root={tree}/sys")
    first = moment(lines[0]) - begun
    registered = moment(next(line for line in lines if REGISTERED in line)) - begun
    limit = container["resources"]["limits"]["cpu"]
    return (
        f"{container['name']}: first line after {first:.1f} s, registered after {registered:.1f} s, CPU limit {limit}"
    )


def moment(line: str) -> float:
    """Of a line, in seconds since 1970."""
    match = STAMP.match(line)
    assert match, line
    year = datetime.now(UTC).year
    return datetime.strptime(f"{year}{match[1]} +0000", "%Y%m%d %H:%M:%S.%f %z").timestamp()


def process_start(argument: str) -> float:
    """When the process with this argument started, in seconds since 1970."""
    (process,) = [path for path in Path("/proc").glob("[0-9]*") if argument in _arguments(path)]
    ticks = int((process / "stat").read_text().rpartition(")")[2].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")


def _arguments(process: Path) -> list[str]:
    try:
        return (process / "cmdline").read_text().split("\0")
    except OSError:  # it has ended
        return []

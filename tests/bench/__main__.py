"""Measures speed and memory of the plugins and the node agent on simulated nodes and prints a table.

`--quick` makes fewer runs.
"""

import asyncio
import os
import platform
import sys
from collections.abc import Sequence

from bench import measurements, metrics, sidecar, telemetry, topology, xelink
from bench.agent import agent, single_programs
from bench.isolation import isolation
from bench.measurements import Row
from bench.provisioning import provisioning


def main() -> None:
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    quick = "--quick" in sys.argv[1:]
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}", flush=True)
    rows: list[Row] = []
    rows += asyncio.run(measurements.start(3 if quick else 11))
    rows += asyncio.run(measurements.hot_plug(50 if quick else 1000))
    rows += asyncio.run(measurements.kubelet_restarts(20 if quick else 200))
    rows += asyncio.run(measurements.allocate(200 if quick else 2000))
    rows += asyncio.run(measurements.idle(5 if quick else 60))
    rows += asyncio.run(measurements.memory_with_metrics())
    rows += asyncio.run(measurements.health(50 if quick else 500))
    rows += asyncio.run(agent(3 if quick else 11, 5 if quick else 60))
    rows += asyncio.run(single_programs())
    rows += asyncio.run(isolation(20 if quick else 100))
    rows += measurements.scans(10 if quick else 50)
    rows += measurements.preferences(10 if quick else 50)
    rows += topology.answers(40 if quick else 400)
    rows += topology.cost_of_all()
    rows += topology.quality()
    rows += telemetry.messages(10 if quick else 50)
    rows += asyncio.run(telemetry.fan_out(10 if quick else 100))
    rows += asyncio.run(sidecar.faults(4 if quick else 20))
    rows += asyncio.run(sidecar.cost(5 if quick else 30))
    rows += metrics.rendering(3 if quick else 20)
    rows += asyncio.run(metrics.scraping(100))
    rows += asyncio.run(metrics.labels(4 if quick else 20))
    rows += asyncio.run(metrics.churn(8 if quick else 60))
    rows += provisioning(3 if quick else 11)
    rows += asyncio.run(xelink.changes(6 if quick else 40))
    rows += asyncio.run(xelink.cost(5 if quick else 30))
    print_table(rows)


def print_table(rows: Sequence[Row]) -> None:
    header: Row = ("what", "measured", "target")
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(3)]
    for row in (header, tuple("-" * width for width in widths), *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()

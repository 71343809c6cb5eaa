"""Measures speed and memory of the programs on simulated nodes and prints a table.

`--quick` makes fewer runs. `--json FILE` writes the figures too, `--compare FILE` prints how many times as much each is
as in such a file. `--against "COMMAND"` also measures another device plugin: its part at the kubelet, on equal nodes.
"""

import argparse
import asyncio
import json
import os
from pathlib import Path

from bench import measurements, metrics, sidecar, telemetry, topology, xelink
from bench.agent import agent, single_programs
from bench.figures import Row, as_json, comparison, machine, table
from bench.isolation import isolation
from bench.provisioning import provisioning


def main() -> None:
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    options = _options()
    before = json.loads(options.compare.read_text()) if options.compare else None
    print(", ".join(f"{name} {value}" for name, value in machine().items()), flush=True)
    rows = measure(quick=options.quick)
    if options.against:
        rows += asyncio.run(measurements.against(options.against, quick=options.quick))
    print(table(rows))
    text = as_json(rows)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(text)
    if before:
        print(comparison(json.loads(text), before))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", metavar="FILE", type=Path)
    parser.add_argument("--compare", metavar="FILE", type=Path)
    parser.add_argument("--against", metavar="COMMAND")
    return parser.parse_args()


def measure(*, quick: bool) -> list[Row]:
    rows: list[Row] = []
    rows += asyncio.run(measurements.start(3 if quick else 11))
    rows += asyncio.run(measurements.hot_plug(50 if quick else 1000))
    rows += asyncio.run(measurements.kubelet_restarts(20 if quick else 200))
    rows += asyncio.run(measurements.allocate(200 if quick else 2000))
    rows += asyncio.run(measurements.idle(5 if quick else 40))
    rows += asyncio.run(measurements.memory_with_metrics())
    rows += asyncio.run(measurements.health(50 if quick else 500))
    rows += asyncio.run(agent(3 if quick else 11, 5 if quick else 40))
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
    rows += provisioning(3 if quick else 11)
    rows += metrics.rendering(3 if quick else 20)
    rows += asyncio.run(metrics.scraping(100))
    rows += asyncio.run(metrics.labels(4 if quick else 20))
    rows += asyncio.run(metrics.churn(8 if quick else 40))
    rows += asyncio.run(xelink.changes(6 if quick else 40))
    rows += asyncio.run(xelink.cost(5 if quick else 30))
    return rows


if __name__ == "__main__":
    main()

"""The soak of two nodes at once: GPUs with the GPU plugin and the Level-Zero sidecar, and a Xeon with the node agent.

Usage: python -m soak [MINUTES [SEED]]. Everything that happens is in build/soak/, a file for each node. The exit code
is 1 when something was not as it has to be, or a program grows.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from random import Random, SystemRandom

from soak.machine import machine
from soak.truth import Truth
from soak.turns import Turns
from xpu_simulator.descriptions import read_node

COMMON = "--metrics-address={metrics_address} --lost-device-retention=24h {flags}"
NODES = {
    "four-gpus": [
        f"xpu-gpu-plugin --telemetry={{telemetry}} --health-leave-dwell=300ms {COMMON}",
        "xpu-level-zero-sidecar --sampling-interval=200ms {flags}",
    ],
    "xeon": [f"xpu-node-agent {COMMON}"],
}
RESTARTS = 0.4  # of the time: later the plugins live on, so that growth can be told


async def soak(name: str, minutes: float, seed: int, directory: Path) -> Turns:
    node, commands = read_node(name), NODES[name]
    async with machine(node, commands, directory / f"{name}.log") as running:
        programs = [command.split()[0] for command in commands]
        turns = Turns(
            machine=running,
            truth=Truth(present={device.name: device for device in node.devices}),
            random=Random(f"{seed} {name}"),
            plugin=programs[0],
            sidecar=programs[1] if programs[1:] else None,
        )
        now = time.monotonic()
        await turns.play(now + 60 * minutes, restarts_until=now + RESTARTS * 60 * minutes)
        return turns


async def main(minutes: float, seed: int) -> int:
    directory = Path("build/soak")
    directory.mkdir(parents=True, exist_ok=True)
    print(f"soak of {minutes:g} minutes, seed {seed}; what happens is in {directory}/", flush=True)
    nodes = await asyncio.gather(*(soak(name, minutes, seed, directory) for name in NODES))
    good = True
    for name, turns in zip(NODES, nodes, strict=True):
        things = ", ".join(f"{count} {what}" for what, count in sorted(turns.done.items()))
        print(f"\n{name}: {things}; {turns.machine.lists} lists, {turns.machine.registrations} registrations")
        print(f"  all right at most {turns.slowest:.1f} s after the last thing of a turn")
        for text, flat in turns.usage.verdicts():
            print(f"  {text}")
            good &= flat
        for text in turns.failures:
            print(f"  WRONG: {text}")
            good = False
    print(f"\n{'ok' if good else 'FAILED'}: seed {seed}")
    return 0 if good else 1


if __name__ == "__main__":
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("MALLOC_ARENA_MAX", "1")  # as in the images: else what a busy machine adds looks like growth
    given = sys.argv[1:]
    sys.exit(
        asyncio.run(
            main(float(given[0]) if given else 3.0, int(given[1]) if given[1:] else SystemRandom().getrandbits(32))
        )
    )

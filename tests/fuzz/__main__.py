"""Fuzz every parser of outside input: python -m fuzz [COUNT [SEED [TARGET…]]].

Each target gets COUNT executions, led by coverage, beginning with the examples in `corpus/`; telemetry messages also
COUNT that are changed as messages. What breaks something stays in build/fuzz/TARGET/, to be repeated with
`python -m fuzz.guided TARGET FILE`. The exit code is 1 when something broke.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom

from fuzz import frames
from fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")
WORK = Path("build/fuzz")
SLOWEST = 5  # seconds of one execution
LARGEST = 1024  # MiB of memory


def guided(target: str, count: int, seed: int) -> bool:
    """Run libFuzzer in a process of its own; False when something broke."""
    work = WORK / target
    (work / "corpus").mkdir(parents=True, exist_ok=True)
    options = [f"-runs={count}", f"-seed={seed & 0x7FFFFFFF or 1}", f"-timeout={SLOWEST}", f"-rss_limit_mb={LARGEST}"]
    options += [f"-artifact_prefix={work}/", "-max_len=8192", str(work / "corpus"), str(CORPUS / target)]
    command = [sys.executable, "-m", "fuzz.guided", target, *options]
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a disk would be most of the work
    with tempfile.TemporaryDirectory(prefix="xpu-fuzz-", dir=memory) as scratch:
        environment = {**os.environ, "XPU_FUZZ_SCRATCH": scratch}
        ended = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    lines = ended.stdout.splitlines()
    last = next((line for line in reversed(lines) if line.startswith("Done ")), f"ended with {ended.returncode}")
    print(f"{target}: {last}, seed {seed}", flush=True)
    if ended.returncode:
        print("\n".join(lines[-40:]))
    return ended.returncode == 0


def main(count: int, seed: int, targets: Sequence[str]) -> int:
    good = [guided(target, count, seed) for target in targets]
    if "telemetry" in targets:
        good.append(frames.main(count, seed) == 0)
    return 0 if all(good) else 1


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(
        main(
            int(given[0]) if given else 1_000_000,
            int(given[1]) if given[1:] else SystemRandom().getrandbits(31),
            given[2:] or list(TARGETS),
        )
    )

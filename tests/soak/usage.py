"""What programs hold: descriptors, threads and memory over their lives, and whether it grows."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression, median

FEWEST = 12  # samples from which growth can be told
SPARE = 8  # descriptors: two resources that are served only since later
SPARE_THREADS = 2
SPARE_MEMORY = 4.0  # MiB: arenas of the allocator, of which a young process gets a few more


@dataclass(frozen=True, slots=True)
class Sample:
    descriptors: int
    threads: int
    memory: float  # anonymous MiB


def sample(pid: int) -> Sample | None:
    """None for a process that has ended."""
    process = Path(f"/proc/{pid}")
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
        anonymous = next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))
        return Sample(len(os.listdir(process / "fd")), len(os.listdir(process / "task")), anonymous / 1024)
    except OSError:
        return None


@dataclass
class Usage:
    _lives: dict[tuple[str, int], list[Sample]] = field(default_factory=dict)

    def look(self, pids: Mapping[str, int]) -> None:
        for name, pid in pids.items():
            if (found := sample(pid)) is not None:
                self._lives.setdefault((name, pid), []).append(found)

    def verdicts(self) -> Iterator[tuple[str, bool]]:
        """Of each program's longest life a line, and whether all of it is flat."""
        for name in sorted({name for name, _ in self._lives}):
            longest = max((life for (owner, _), life in self._lives.items() if owner == name), key=len)
            if len(longest) < FEWEST:
                yield f"{name}: only {len(longest)} samples of its longest life: too few to tell whether it grows", True
            else:
                yield verdict(name, longest)


def verdict(name: str, life: Sequence[Sample]) -> tuple[str, bool]:
    """Medians of a life's second and last quarter: in the first one caches and pools get their size."""
    quarter = len(life) // 4
    before, after = life[quarter : 2 * quarter], life[-quarter:]
    descriptors = median([one.descriptors for one in before]), median([one.descriptors for one in after])
    threads = median([one.threads for one in before]), median([one.threads for one in after])
    memory = median([one.memory for one in before]), median([one.memory for one in after])
    slope = linear_regression(range(len(life) - quarter), [one.memory for one in life[quarter:]]).slope
    flat = descriptors[1] - descriptors[0] <= SPARE and threads[1] - threads[0] <= SPARE_THREADS
    flat = flat and memory[1] - memory[0] <= SPARE_MEMORY
    text = (
        f"{name}: descriptors {descriptors[0]:g} → {descriptors[1]:g}, threads {threads[0]:g} → {threads[1]:g}, "
        f"anonymous {memory[0]:.1f} → {memory[1]:.1f} MiB ({slope * 1024:+.1f} KiB a turn, {len(life)} turns)"
    )
    return (text if flat else f"{text}: GROWS"), flat

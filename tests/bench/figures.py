"""What a bench measures, as values: durations with their distribution, numbers in a text; in JSON, and compared."""

import json
import math
import os
import platform
import re
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.targets import explanation, misses

BARS = " ▁▂▃▄▅▆▇█"
COLUMNS = 24  # of a plot
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")
INTRODUCTION = """\
# Figures

Measured by `make bench` on simulated nodes, with the programs as processes. `BENCH="--json FILE"` keeps a result,
`--compare FILE` prints how many times as much each figure is as in an earlier one, and `--against "COMMAND"` measures
another device plugin in the same run. A plot goes from the shortest to the longest time, percentiles are milliseconds.
"""


@dataclass(frozen=True, slots=True)
class Durations:
    """Of one thing done many times, in seconds; shown in milliseconds."""

    seconds: Sequence[float]

    def percentile(self, share: float) -> float:
        """In milliseconds, the nearest one; `share` is above 0 and at most 1."""
        return sorted(self.seconds)[math.ceil(share * len(self.seconds)) - 1] * 1000

    @property
    def summary(self) -> Mapping[str, float]:
        """Milliseconds, and how many there were."""
        return {
            "p50": statistics.median(self.seconds) * 1000,
            "p90": self.percentile(0.9),
            "p99": self.percentile(0.99),
            "max": max(self.seconds) * 1000,
            "n": len(self.seconds),
        }

    @property
    def plot(self) -> str:
        """How often each length came, from the shortest to the longest; the tallest bar is the most frequent one."""
        least, most = min(self.seconds), max(self.seconds)
        counts = [0] * COLUMNS
        for value in self.seconds:
            counts[min(COLUMNS - 1, int((value - least) / ((most - least) or 1) * COLUMNS))] += 1
        return "".join(BARS[-(-count * (len(BARS) - 1) // max(counts))] for count in counts)

    def __str__(self) -> str:
        found = self.summary
        texts = (f"{name} {found[name]:.2f}" for name in ("p50", "p90", "p99", "max"))
        return f"{'  '.join(texts)} ms  n={found['n']:g}"


Row = tuple[str, str | Durations, str]  # what, measured, target


def milliseconds(seconds: Sequence[float]) -> Durations:
    return Durations(tuple(seconds))


def table(rows: Iterable[Row]) -> str:
    """A page of text; durations with their distribution."""
    lines = [("what", "measured", "target", "distribution")]
    lines += [(what, str(found), target, _plot(found)) for what, found, target in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    lines.insert(1, ("-" * widths[0], "-" * widths[1], "-" * widths[2], "-" * widths[3]))
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _plot(found: str | Durations) -> str:
    return f"|{found.plot}|" if isinstance(found, Durations) else ""


def machine() -> dict[str, Any]:
    """Where the figures are from."""
    names = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "processor": names[0] if names else "unknown",
    }


def as_json(rows: Iterable[Row]) -> str:
    figures = [
        {
            "what": what,
            "target": target,
            "text": str(found),
            **(
                {"milliseconds": found.summary, "plot": found.plot}
                if isinstance(found, Durations)
                else {"numbers": [float(number) for number in NUMBER.findall(found)]}
            ),
        }
        for what, found, target in rows
    ]
    return json.dumps({"machine": machine(), "figures": figures}, indent=1, ensure_ascii=False) + "\n"


def comparison(now: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """How many times as much each figure is as in an earlier result; only figures that both have."""
    earlier = {figure["what"]: figure for figure in before["figures"]}
    lines = ["times as much as before (below 1 is less):"]
    if now["machine"] != before["machine"]:
        lines.append(f"on another machine: {before['machine']} before, {now['machine']} now")
    pairs = [(figure, earlier[figure["what"]]) for figure in now["figures"] if figure["what"] in earlier]
    lines += [f"  {figure['what']}: {ratios}" for figure, old in pairs if (ratios := _ratios(figure, old))]
    return "\n".join(lines)


def _ratios(now: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    if "milliseconds" in now and "milliseconds" in before:
        pairs = {name: (now["milliseconds"][name], before["milliseconds"][name]) for name in ("p50", "p99", "max")}
        return "  ".join(f"{name} {ratio(*pair)}" for name, pair in pairs.items())
    found, old = now.get("numbers", []), before.get("numbers", [])
    return "  ".join(map(ratio, found, old)) if len(found) == len(old) else ""


def ratio(now: float, before: float) -> str:
    return f"{now / before:.2f}" if before else ("1.00" if not now else "more than nothing")


def page(result: Mapping[str, Any]) -> str:
    """docs/figures.md of a result."""
    told = result["machine"]
    where = f"{told['processor']}, {told['cores']} cores, {told['machine']}, Linux {told['kernel']}"
    lines = [INTRODUCTION, f"{where}, Python {told['python']}.", ""]
    lines += ["| What | Measured | Target | Distribution |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {figure['what']} | {figure['text']} | {figure['target']} | {_code(figure.get('plot', ''))} |"
        for figure in result["figures"]
    ]
    return "\n".join([*lines, "", *_missed(result)]) + "\n"


def _missed(result: Mapping[str, Any]) -> Iterator[str]:
    """Every target that is not met, and why."""
    found = [(figure, texts) for figure in result["figures"] if (texts := misses(figure))]
    if not found:
        yield "Every target is met."
        return
    yield from ("## Targets that are missed", "", "| What | Measured | Target | Why |", "| --- | --- | --- | --- |")
    for figure, texts in found:
        yield f"| {figure['what']} | {', '.join(texts)} | {figure['target']} | {explanation(figure['what'])} |"


def _code(plot: str) -> str:
    return f"`{plot}`" if plot else ""

"""Outcomes on standard output: a table for people, JSON for programs. Nothing else is printed there."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from xpu_shared.program.table import lines
from xpu_shared.provisioning.engine import Outcome


def as_json(outcomes: Sequence[Outcome], sysfs: Path) -> str:
    """The shape is documented in docs/provisioning.md; keys are only ever added."""
    devices = [
        {
            "device": outcome.device,
            "result": str(outcome.result),
            "writes": [
                {"path": f"{sysfs}/{write.path}", "value": write.value, "before": write.before}
                for write in outcome.writes
            ],
        }
        for outcome in outcomes
    ]
    return json.dumps({"devices": devices}, indent=2)


def as_table(outcomes: Sequence[Outcome], sysfs: Path) -> str:
    parts = []
    for outcome in outcomes:
        rows = [(f"  {sysfs}/{write.path}", write.before or "-", write.value or "-") for write in outcome.writes]
        table = lines([("  WRITE TO", "BEFORE", "VALUE"), *rows]) if rows else []
        parts.append("\n".join([f"{outcome.device}: {outcome.result}", *table]))
    return "\n".join(parts) if parts else "There is no such device."


def write(text: str) -> None:
    """Print it, also when nobody reads on."""
    try:
        print(text, flush=True)
    except BrokenPipeError:  # what Python still holds must not fail at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

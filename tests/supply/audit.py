"""Known vulnerabilities of what lock files name, as pip-audit finds them."""

import json
import subprocess
from collections.abc import Iterable
from typing import Any

OPTIONS = ("--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json")
UNREACHABLE = "skipped: no database of vulnerabilities can be reached from here"


def audit(program: str, locks: Iterable[str]) -> int:
    """Print what is known of each file; 1 when there is a vulnerability."""
    worst = 0
    for lock in locks:
        ended = subprocess.run([program, "-r", lock, *OPTIONS], capture_output=True, text=True, check=False)
        text, vulnerable = verdict(ended.stdout)
        print(f"{lock}: {text}")
        worst |= vulnerable
    return int(worst)


def verdict(answer: str) -> tuple[str, bool]:
    """What pip-audit's answer means, and whether there is a vulnerability; empty when it could ask nobody."""
    dependencies: list[dict[str, Any]] = json.loads(answer)["dependencies"] if answer.startswith("{") else []
    known = [entry for entry in dependencies if "skip_reason" not in entry]
    found = [
        f"{entry['name']} {entry['version']}: {vulnerability['id']}, fixed in {fixes(vulnerability)}"
        for entry in known
        for vulnerability in entry["vulns"]
    ]
    if not known:
        return UNREACHABLE, False
    skipped = (
        f", {len(dependencies) - len(known)} are unknown to the database" if len(known) < len(dependencies) else ""
    )
    return "\n  ".join([f"{len(known)} packages{skipped}, {len(found)} known vulnerabilities", *found]), bool(found)


def fixes(vulnerability: dict[str, Any]) -> str:
    return ", ".join(vulnerability["fix_versions"]) or "no version"

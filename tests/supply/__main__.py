"""What `make licences`, `make sbom` and `make audit` do.

python -m supply licences prints the list of docs/licences.md, sbom WHEEL writes WHEEL.cdx.json, and audit PIP-AUDIT
LOCK… says what is known of the vulnerabilities of what is locked.
"""

import sys
import tomllib
from pathlib import Path

from supply.audit import audit
from supply.bill import bill
from supply.locked import licence, read

ROOT = Path(__file__).parents[2]


def licences() -> str:
    """Of everything that requirements.lock names, as a Markdown table."""
    lines = ["| Package | Licence |", "| --- | --- |"]
    lines += [
        f"| {package.name} | {found} |"
        for package in read(ROOT / "requirements.lock")
        if (found := licence(package.name)) is not None
    ]
    return "\n".join(lines) + "\n"


def main(word: str, *files: str) -> int:
    if word == "licences":
        print(licences(), end="")
        return 0
    if word == "audit":
        return audit(files[0], files[1:])
    for wheel in map(Path, files):
        target = wheel.with_name(f"{wheel.name}.cdx.json")
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        target.write_text(bill(wheel, project, list(read(ROOT / "requirements.lock"))))
        print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Licences, hashes and the wheel's bill of materials."""

import json
import re
import tomllib
from pathlib import Path

from supply.__main__ import ROOT, licences
from supply.audit import UNREACHABLE, verdict
from supply.bill import bill
from supply.locked import licence, read

LOCKS = sorted(ROOT.glob("requirements*.lock"))
OURS_TO_SHIP = re.compile(
    r"(Apache-2\.0|MIT|MIT-0|BSD-[23]-Clause|PSF-2\.0|ISC|LGPL-2\.1-or-later|MPL-2\.0|[()]|AND|OR|Zlib|0BSD|\s)+"
)


def test_everything_is_locked_with_hashes() -> None:
    assert [lock.name for lock in LOCKS] == ["requirements-audit.lock", "requirements-fuzz.lock", "requirements.lock"]
    for lock in LOCKS:
        packages = list(read(lock))
        assert packages
        assert all(package.hashes for package in packages)


def test_the_page_lists_the_licence_of_everything_locked() -> None:
    """To renew it, put what `PYTHONPATH=tests .venv/bin/python -m supply licences` prints below its introduction."""
    assert (ROOT / "docs/licences.md").read_text().endswith(f"\n{licences()}")
    assert [package.name for package in read(ROOT / "requirements.lock") if licence(package.name) == ""] == []


def test_the_bill_of_the_wheel_has_what_its_extras_bring_and_nothing_that_only_we_need(tmp_path: Path) -> None:
    wheel = tmp_path / "xpu_device_plugins-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = {package.name: package for package in read(ROOT / "requirements.lock")}

    found = json.loads(bill(wheel, project, list(locked.values())))

    parts = {part["name"]: part for part in found["components"]}
    assert {"grpcio", "protobuf", "pyzmq", "pydantic-core", "typing-extensions"} <= parts.keys()
    assert not parts.keys() & {"pytest", "ruff", "mypy", "hypothesis"}
    assert all(part["version"] == locked[name].version for name, part in parts.items())
    for part in parts.values():
        (told,) = part["licenses"]
        text = told.get("expression") or told["license"].get("id") or told["license"]["name"]
        assert OURS_TO_SHIP.fullmatch(text), f"{part['name']}: {text}"
    dependencies = {entry["ref"]: entry.get("dependsOn", []) for entry in found["dependencies"]}
    assert parts["grpcio"]["purl"] in dependencies["xpu-device-plugins"]
    assert parts["pydantic-core"]["purl"] in dependencies[parts["pydantic"]["purl"]]


def test_an_audit_that_could_ask_nobody_says_so_and_one_that_found_something_fails() -> None:
    skipped = {"name": "a", "skip_reason": "Dependency not found on PyPI"}
    well = {"name": "b", "version": "1", "vulns": []}
    ill = {"name": "c", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}

    assert verdict("") == verdict(json.dumps({"dependencies": [skipped]})) == (UNREACHABLE, False)
    assert verdict(json.dumps({"dependencies": [skipped, well]})) == (
        "1 packages, 1 are unknown to the database, 0 known vulnerabilities",
        False,
    )
    assert verdict(json.dumps({"dependencies": [well, ill]})) == (
        "2 packages, 1 known vulnerabilities\n  c 2: PYSEC-1, fixed in 3",
        True,
    )

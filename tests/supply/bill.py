"""The bill of materials of a wheel, CycloneDX 1.6 in JSON: what its extras bring, as it is locked.

A wheel holds nothing of others; the bill is of what an installation of all its extras consists of.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.contrib.this.builders import this_component
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from supply.locked import Locked, licence


def bill(wheel: Path, project: Mapping[str, Any], locked: Sequence[Locked]) -> str:
    """The document of a wheel; but for its time the same for the same wheel and lock file.

    Args:
        project: of pyproject.toml.
        locked: what is installed, at which version.
    """
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    root = Component(
        name=project["name"],
        version=project["version"],
        type=ComponentType.LIBRARY,
        purl=PackageURL("pypi", None, project["name"], project["version"]),
        bom_ref=project["name"],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        licenses=[LicenseFactory().make_from_string(project["license"])],
    )
    wanted = {text for extra in project["optional-dependencies"].values() for text in extra}
    versions = {_name(package.name): package for package in locked}
    parts = {name: _component(versions[name]) for name in reached(map(_name, wanted))}
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"{wheel.name}@sha256:{digest}"))
    bom.metadata.component = root
    bom.metadata.tools.components.add(this_component())
    bom.components.update(parts.values())
    bom.register_dependency(root, [parts[name] for name in sorted(set(map(_name, wanted)))])
    for name, part in parts.items():
        bom.register_dependency(part, [parts[needed] for needed in needed_by(name)])
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def reached(names: Iterable[str]) -> list[str]:
    """These packages and all that they need."""
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            waiting += needed_by(name)
    return sorted(found)


def needed_by(name: str) -> list[str]:
    """What a package needs on this platform; nothing is known of one that is not installed."""
    try:
        requirements = map(Requirement, requires(name) or ())
    except PackageNotFoundError:
        return []
    return sorted(
        {
            _name(needed.name)
            for needed in requirements
            if needed.marker is None or needed.marker.evaluate({"extra": ""})
        }
    )


def _name(requirement: str) -> str:
    return str(canonicalize_name(re.split(r"[^A-Za-z0-9_.-]", requirement)[0]))


def _component(package: Locked) -> Component:
    purl = PackageURL("pypi", None, package.name, package.version)
    told = licence(package.name)
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=str(purl),
        licenses=[LicenseFactory().make_from_string(told)] if told else [],
    )

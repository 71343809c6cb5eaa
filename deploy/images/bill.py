"""The bill of materials of an image, CycloneDX 1.6 in JSON, from what its archive says that it holds."""

import json
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.contrib.this.builders import this_component
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

COMPONENTS = "licenses/components.json"


def read_components(archive: Path) -> list[dict[str, str]]:
    """What tree.py wrote into the image.

    Args:
        archive: a docker-archive.
    """
    with tarfile.open(archive) as outer:
        (manifest,) = json.load(_member(outer, "manifest.json"))
        for layer in manifest["Layers"]:
            with tarfile.open(fileobj=_member(outer, layer)) as inner:
                if COMPONENTS in inner.getnames():
                    found: list[dict[str, str]] = json.load(_member(inner, COMPONENTS))
                    return found
    raise ValueError(f"{archive}: no {COMPONENTS} in any layer")


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    assert file is not None, name
    return file


def bill(name: str, version: str, image_id: str, components: list[dict[str, str]], time: int) -> str:
    """The document; the same for the same image.

    Args:
        image_id: `sha256:…` of the image's configuration.
        time: seconds since 1970 that the document says it is of.
    """
    purl = PackageURL("oci", None, name, image_id, {"tag": version, "arch": "amd64"})
    root = Component(name=name, version=version, type=ComponentType.CONTAINER, purl=purl, bom_ref=str(purl))
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"{name}@{image_id}"))
    bom.metadata.timestamp = datetime.fromtimestamp(time, UTC)
    bom.metadata.component = root
    bom.metadata.tools.components.add(this_component())
    parts = [_component(described) for described in components]
    bom.components.update(parts)
    bom.register_dependency(root, parts)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _component(described: dict[str, str]) -> Component:
    licence = described.get("licence")
    return Component(
        name=described["name"],
        version=described["version"],
        type=ComponentType.LIBRARY,
        purl=PackageURL.from_string(described["purl"]),
        bom_ref=described["purl"],
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
    )

"""The table of images and what is made of it, as far as it takes no build."""

import io
import json
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

from deploy.rendering import KUSTOMIZE
from images.bill import bill, read_components
from images.context import is_needed
from images.imports import reached
from images.table import PROJECT, Image, images, project

IMAGES = {image.name: image for image in images()}
NOT_DEPLOYED = {"xpu-simulator"}


def test_every_program_of_ours_has_an_image_and_only_the_simulator_has_none() -> None:
    scripts = project()["scripts"]
    run = {entry_point for image in IMAGES.values() for entry_point in image.programs.values()}
    assert {name for name, entry_point in scripts.items() if entry_point not in run} == NOT_DEPLOYED


def test_every_image_has_an_extra_of_the_project() -> None:
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {image.extra for image in IMAGES.values()} <= extras.keys()


def test_every_image_that_manifests_name_is_built() -> None:
    named = yaml.safe_load((KUSTOMIZE / "components/images/kustomization.yaml").read_text())["images"]
    assert {entry["name"] for entry in named} <= {f"intel/{name}" for name in IMAGES}


@pytest.mark.parametrize(
    ("image", "path"),
    [
        ("intel-gpu-plugin", "intel_gpu_device_plugin"),
        ("intel-dsa-plugin", "intel_dsa_device_plugin"),
        ("intel-iaa-plugin", "intel_iaa_device_plugin"),
        ("intel-dlb-plugin", "intel_dlb_device_plugin"),
        ("intel-sgx-plugin", "intel_sgx_device_plugin"),
        ("intel-npu-plugin", "intel_npu_device_plugin"),
        ("intel-gpu-levelzero", "intel_gpu_levelzero"),
        ("intel-xpumanager-sidecar", "intel_xpumanager_sidecar"),
        ("intel-sgx-initcontainer", "sgx-sw/intel-sgx-epchook"),
    ],
)
def test_an_image_runs_what_the_one_that_it_replaces_runs(image: str, path: str) -> None:
    assert IMAGES[image].program == path


FILES = {
    "xpu_plugins/__init__.py",
    "xpu_plugins/gpu/scan.py",
    "xpu_plugins/dsa/program.py",
    "xpu_plugins/node_agent/families.py",
    "xpu_sidecars/__init__.py",
    "xpu_sidecars/level_zero/library.py",
    "xpu_shared/cdi.py",
    "xpu_wire/telemetry_pb2.py",
    "xpu_simulator/node.py",
    "xpu_device_plugins-0.1.0.dist-info/METADATA",
}
EVERYONES = {"xpu_shared/cdi.py", "xpu_wire/telemetry_pb2.py", "xpu_device_plugins-0.1.0.dist-info/METADATA"}


@pytest.mark.parametrize(
    ("image", "own"),
    [
        ("intel-gpu-plugin", {"xpu_plugins/__init__.py", "xpu_plugins/gpu/scan.py"}),
        ("intel-gpu-levelzero", {"xpu_sidecars/__init__.py", "xpu_sidecars/level_zero/library.py"}),
        ("intel-xpumanager-sidecar", {"xpu_sidecars/__init__.py", "xpu_sidecars/level_zero/library.py"}),
        ("xpu-node-agent", {name for name in FILES if name.startswith("xpu_plugins/")}),
    ],
)
def test_an_image_has_the_code_of_its_programs_and_no_other(image: str, own: set[str]) -> None:
    assert {name for name in FILES if is_needed(IMAGES[image], name)} == own | EVERYONES


COMPONENTS = [
    {"name": "grpcio", "version": "1.85.3", "purl": "pkg:pypi/grpcio@1.85.3", "licence": "Apache-2.0"},
    {"name": "odd", "version": "1", "purl": "pkg:pypi/odd@1", "licence": "see the file LICENCE, please"},
    {"name": "libc6", "version": "2.36-9+deb12u10", "purl": "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64"},
]


def test_a_bill_of_materials_names_every_component_with_its_licence_and_is_the_same_each_time() -> None:
    text = bill("intel-gpu-plugin", "0.1.0", "sha256:0123", COMPONENTS, 1_700_000_000)
    document = json.loads(text)

    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["component"]["name"] == "intel-gpu-plugin"
    assert {part["purl"]: part["version"] for part in document["components"]} == {
        part["purl"]: part["version"] for part in COMPONENTS
    }
    licences = {part["name"]: part.get("licenses", []) for part in document["components"]}
    assert licences["grpcio"] == [{"license": {"id": "Apache-2.0"}}]
    assert licences["odd"] == [{"license": {"name": "see the file LICENCE, please"}}]
    assert licences["libc6"] == []
    assert bill("intel-gpu-plugin", "0.1.0", "sha256:0123", COMPONENTS, 1_700_000_000) == text


def archive(path: Path, layers: list[dict[str, bytes]]) -> Path:
    """A docker-archive with these files in its layers."""

    def tar(files: dict[str, bytes]) -> bytes:
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as written:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                written.addfile(entry, io.BytesIO(content))
        return data.getvalue()

    names = [f"{number}.tar" for number in range(len(layers))]
    manifest = json.dumps([{"Config": "c.json", "RepoTags": ["x:1"], "Layers": names}]).encode()
    path.write_bytes(tar({**dict(zip(names, map(tar, layers), strict=True)), "manifest.json": manifest}))
    return path


def test_what_an_image_is_made_of_is_read_out_of_its_archive(tmp_path: Path) -> None:
    found = archive(tmp_path / "x.tar", [{"a": b""}, {"licenses/components.json": json.dumps(COMPONENTS).encode()}])
    assert read_components(found) == COMPONENTS


def test_an_archive_that_does_not_say_what_it_is_made_of_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x\.tar: no licenses/components\.json"):
        read_components(archive(tmp_path / "x.tar", [{"a": b""}]))


def test_an_image_is_its_first_program() -> None:
    image = Image(name="x", extra="gpu", programs={"sub/one": "a.b.c:main", "two": "a.d.e:main"}, title="X")
    assert image.program == "sub/one"


def test_an_image_has_what_its_programs_import_also_inside_of_functions_and_from_a_sibling() -> None:
    xelink = {"xpu_sidecars/xelink", "xpu_sidecars/level_zero"}  # which has the library's declarations

    assert xelink <= IMAGES["intel-xpumanager-sidecar"].packages
    assert reached(["xpu_plugins.gpu.__main__"]) >= {"xpu_plugins.gpu.wsl_plugin", "xpu_shared.inventory"}
    assert reached(["json", "xpu_plugins.nothing"]) == frozenset()

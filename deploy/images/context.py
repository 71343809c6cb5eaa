"""The context of one image's build: its Dockerfile, our code and its dependencies, and what tree.py needs to know.

Everything is fetched here, outside of the build, with the hashes of requirements.lock.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from images.table import PROJECT, Image

PYTHON = "3.11"  # the base image's
PLATFORM = "x86_64-manylinux_2_28"
HERE = Path(__file__).parent
RUN_INSIDE = ("__init__.py", "components.py", "tree.py")
EVERYONES = frozenset({"xpu_shared", "xpu_wire"})  # packages of ours that every program has
NAMES_ITS_SIBLINGS = frozenset({"xpu_plugins/node_agent"})  # imports packages beside its own by names that are texts


def make_wheel(directory: Path, time: int) -> Path:
    """Our wheel; the same bytes each time."""
    shutil.rmtree(directory, ignore_errors=True)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory.absolute())]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(time)}
    subprocess.run(command, check=True, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL)
    (wheel,) = directory.glob("*.whl")
    return wheel


def make_context(image: Image, directory: Path, *, wheel: Path, drivers: Sequence[Path], time: int) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    _install_dependencies(image.extra, directory)
    _unpack_ours(image, wheel, directory / "packages")
    (directory / "drivers").mkdir()
    for package in drivers:
        shutil.copy(package, directory / "drivers")
    (directory / "images").mkdir()
    for name in RUN_INSIDE:
        shutil.copy(HERE / name, directory / "images")
    (directory / "image.json").write_text(json.dumps({"programs": image.programs, "time": time}))
    text = (HERE / "Dockerfile.in").read_text()
    for word, value in {"name": image.name, "title": image.title, "program": image.program}.items():
        text = text.replace(f"@{word}@", value)
    (directory / "Dockerfile").write_text(text)


def _install_dependencies(extra: str, directory: Path) -> None:
    requirements = directory / "requirements.txt"
    platform = ["--python-version", PYTHON, "--python-platform", PLATFORM]
    compile_ = ["pip", "compile", "pyproject.toml", "--extra", extra, "-c", "requirements.lock", "--generate-hashes"]
    _uv(*compile_, "--no-header", "--no-annotate", *platform, "-o", str(requirements.absolute()))
    install = ["pip", "install", "--require-hashes", "--no-deps", "--only-binary", ":all:", "--link-mode", "copy"]
    _uv(*install, *platform, "--target", str((directory / "packages").absolute()), "-r", str(requirements.absolute()))


def _uv(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "uv", "-q", *arguments], check=True, cwd=PROJECT)


def _unpack_ours(image: Image, wheel: Path, packages: Path) -> None:
    """Only the packages that the image's programs import: a wheel of pure Python is unpacked, not installed."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages, [name for name in archive.namelist() if is_needed(image, name)])


def is_needed(image: Image, name: str) -> bool:
    """Whether a file of the wheel is of a package that the image's programs import."""
    top, _, rest = name.partition("/")
    if top in EVERYONES or top.endswith(".dist-info"):
        return True
    tops = {package.partition("/")[0] for package in image.packages}
    siblings_too = {package.partition("/")[0] for package in image.packages & NAMES_ITS_SIBLINGS}
    inner = rest.partition("/")[0]
    return top in siblings_too or (top in tops and inner == "__init__.py") or f"{top}/{inner}" in image.packages

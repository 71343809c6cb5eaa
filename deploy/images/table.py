"""The table of images, and what pyproject.toml says about them."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from images.imports import reached

PROJECT = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("images.toml")


@dataclass(frozen=True, kw_only=True)
class Image:
    name: str  # e.g. intel-gpu-plugin
    extra: str  # of pyproject.toml
    programs: Mapping[str, str]  # file in /usr/local/bin -> entry point, module:function
    title: str

    @property
    def program(self) -> str:
        """What the image runs."""
        return next(iter(self.programs))

    @cached_property
    def packages(self) -> frozenset[str]:
        """The packages of ours that its programs import, as directories of the wheel, e.g. xpu_plugins/gpu."""
        modules = (entry_point.partition(":")[0] for entry_point in self.programs.values())
        return frozenset("/".join(module.split(".")[:2]) for module in reached(modules))


def images() -> list[Image]:
    scripts = project()["scripts"]
    return [
        Image(
            name=name,
            extra=entry["extra"],
            programs={path: scripts[script] for path, script in entry["programs"].items()},
            title=entry["title"],
        )
        for name, entry in tomllib.loads(TABLE.read_text()).items()
    ]


def version() -> str:
    return str(project()["version"])


def project() -> dict[str, dict[str, str]]:
    read: dict[str, dict[str, str]] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    return read

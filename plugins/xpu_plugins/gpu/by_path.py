"""udev's links `/dev/dri/by-path/pci-<address>-card` and `-render`, by which some libraries find a card's files.

A container gets the links of its own cards (`single`), the whole directory (`all`) or nothing (`none`).
"""

# ruff: noqa: PTH112, PTH114, PTH116 - the functions of os for paths that are text

import os
from collections.abc import Mapping
from pathlib import Path

from xpu_plugins.gpu.card import pci_address, problem
from xpu_plugins.gpu.device_files import CONTAINER_DRI
from xpu_shared.device import Mount, Problem


class ByPath:
    """The directory as it is during one scan; it comes and goes with udev and the cards."""

    def __init__(self, mode: str, dev: Path, host_dev: Path, problems: list[Problem]) -> None:
        self._directory = f"{dev}/dri/by-path"
        self._host_directory = f"{host_dev}/dri/by-path"
        self._problems = problems
        self._whole = mode == "all" and os.path.isdir(self._directory)
        self._names = self._list() if mode == "single" else frozenset()

    def _list(self) -> frozenset[str]:
        try:
            return frozenset(os.listdir(self._directory))
        except FileNotFoundError:  # a node without udev
            return frozenset()
        except OSError as error:
            text = f"no by-path links are handed out: {error.strerror}"
            self._problems.append(Problem(subject=self._directory, text=text))
            return frozenset()

    def mounts(self, card: str, files: Mapping[str, os.stat_result]) -> tuple[Mount, ...]:
        """What a container gets of the directory together with the card's device files."""
        if self._whole:
            return (Mount(host_path=self._host_directory, container_path=f"{CONTAINER_DRI}/by-path"),)
        if not self._names:
            return ()
        address = pci_address(card)
        if address is None:
            self._problems.append(problem(card, f"no by-path links are handed out: {card} names no PCI address"))
            return ()
        wanted = (f"pci-{address}-card", f"pci-{address}-render")
        return tuple(self._mount(name) for name in wanted if name in self._names and self._leads_to(name, files))

    def _mount(self, name: str) -> Mount:
        return Mount(host_path=f"{self._host_directory}/{name}", container_path=f"{CONTAINER_DRI}/by-path/{name}")

    def _leads_to(self, name: str, files: Mapping[str, os.stat_result]) -> bool:
        """Whether it is a link to one of the card's own files; what leads elsewhere would open another card."""
        path = f"{self._directory}/{name}"
        try:
            target = os.stat(path)
            if os.path.islink(path) and any(os.path.samestat(target, status) for status in files.values()):
                return True
            reason = "it is no link to a device file of its card"
        except OSError as error:
            reason = str(error.strerror)
        self._problems.append(Problem(subject=path, text=f"not handed out: {reason}"))
        return False

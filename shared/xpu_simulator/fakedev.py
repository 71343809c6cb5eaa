"""`xpu-simulator fakedev`: does as the fake-device generator that Intel's plugins come with.

It writes `sys`, `dev` and a file of labels into a directory, the current one by default, and first removes what an
earlier run left there. The trees are flat and sparse; `xpu-simulator tree` writes those that real cards have.
"""

import os
import shutil
import stat
import sys
from collections import Counter
from pathlib import Path

from xpu_shared.program.flags import shown
from xpu_simulator.errors import ImpossibleError
from xpu_simulator.generator import DG1, Generator
from xpu_simulator.tree import NULL_DEVICE, can_make_devices

LABEL_FILE = "xpum-sidecar-labels.txt"
DIRECTORY_MODE, FILE_MODE = 0o775, 0o644
FIRST_RENDER = 128
MOST_SYS_ENTRIES = 3  # of a tree of ours; a real sysfs has more


def generate(config: Generator, root: Path, *, device_nodes: bool) -> None:
    """Write everything; nothing is removed when something is wrong with what is there."""
    if device_nodes and not can_make_devices(root):
        raise ImpossibleError("device nodes need CAP_MKNOD; -no-mknod makes regular files instead")
    _refuse_real_trees(root)
    for name in ("dev", "sys"):
        _clean(root / name)
    trees = FakeTrees(root, device_nodes=device_nodes)
    for device in range(config.dev_count):
        trees.add(config, device)
    log(f"created {trees.made['directory']} directories, {trees.made['device']} devices, {trees.made['file']} files")
    labels = "".join(f"{line}\n" for line in config.labels())
    (root / LABEL_FILE).write_text(labels)
    print(labels, end="")


class FakeTrees:
    def __init__(self, root: Path, *, device_nodes: bool) -> None:
        self.made: Counter[str] = Counter()
        self._root = root
        self._device_nodes = device_nodes

    def add(self, config: Generator, device: int) -> None:
        card = self._root / f"sys/class/drm/card{device}"
        debug = self._root / f"sys/kernel/debug/dri/{device}"
        driven = self._root / "sys/bus/pci/drivers/i915" / pci_address(device)
        dri = self._root / "dev/dri"
        nodes = (f"card{device}", f"renderD{FIRST_RENDER + device}")
        tiles = [card / f"gt/gt{tile}" for tile in range(config.tiles_per_dev)]
        for directory in (
            card,
            *(card / "device/drm" / node for node in nodes),
            *tiles,
            debug,
            driven / "drm",
            driven,
            dri,
        ):
            self._directory(directory)
        self._file(card / "lmem_total_bytes", str(config.dev_mem_size))
        self._file(card / "device/vendor", "0x8086")
        self._file(card / "device/numa_node", str(config.numa_node(device)))
        if config.is_physical_function(device):
            self._file(card / "device/sriov_numvfs", str(config.vfs_per_pf))
        capabilities = "".join(f"{key}: {value}\n" for key, value in config.capabilities.items())
        self._file(debug / "i915_capabilities", capabilities)
        self._file(driven / "device", f"{DG1:#06x}")
        for directory in (dri, driven / "drm"):
            for node in nodes:
                self._device(directory / node)

    def _directory(self, path: Path) -> None:
        self.made["directory"] += 1
        _make(path)

    def _file(self, path: Path, text: str) -> None:
        try:
            with path.open("x") as file:
                file.write(text)
        except OSError as error:
            error.filename = error.filename or str(path)  # that of a full disk does not name the file
            raise
        path.chmod(FILE_MODE)
        self.made["file"] += 1

    def _device(self, path: Path) -> None:
        if self._device_nodes:
            os.mknod(path, stat.S_IFCHR | FILE_MODE, NULL_DEVICE)
        else:
            path.touch(exist_ok=False)
        path.chmod(FILE_MODE)
        self.made["device"] += 1


def _make(directory: Path) -> None:
    if not directory.is_dir():
        _make(directory.parent)
        directory.mkdir()
        directory.chmod(DIRECTORY_MODE)  # whatever the umask


def pci_address(device: int) -> str:
    """Device 0 is 0000:00:00.0; a bus has 32 devices."""
    return f"0000:{device >> 5:02x}:{device & 0x1F:02x}.0"


def log(text: str) -> None:
    print(text, file=sys.stderr)


def _refuse_real_trees(root: Path) -> None:
    for name in ("dev", "sys"):
        if (root / name).is_symlink():
            raise ImpossibleError(f"{root / name}: expected a directory, not a link")
    others = [name for name in _entries(root / "dev") if name != "dri"]
    if others:
        raise ImpossibleError(f"{root / 'dev'}: expected nothing but dri, found {shown(others[0])}: a real devfs?")
    if len(_entries(root / "sys")) > MOST_SYS_ENTRIES:
        raise ImpossibleError(f"{root / 'sys'}: expected at most {MOST_SYS_ENTRIES} entries: a real sysfs?")


def _entries(directory: Path) -> list[str]:
    return sorted(os.listdir(directory)) if directory.exists() else []


def _clean(directory: Path) -> None:
    if _entries(directory):
        log(f"WARNING: removing {directory} and all that is in it")
        shutil.rmtree(directory)

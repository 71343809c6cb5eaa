"""`xpu-simulator tree`: a node's sysfs and /dev in a directory of the user's, for plugins that are started by hand."""

import os
import shutil
from pathlib import Path

from xpu_simulator.errors import ImpossibleError
from xpu_simulator.node import Node
from xpu_simulator.tree import SimulatedTree, can_make_devices

MARKER = ".xpu-simulator-tree"
MARKED = "sys and dev beside this file are written, and replaced, by `xpu-simulator tree`.\n"
TREES = ("sys", "dev")


def write_tree(node: Node, directory: Path, *, device_nodes: bool) -> None:
    """Write the trees, in the place of those that an earlier call has written.

    Raises:
        ImpossibleError: the directory holds something else, or device nodes cannot be made; nothing is changed then.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / MARKER).is_file() and os.listdir(directory):
        raise ImpossibleError(f"{directory}: expected an empty directory, or one that `xpu-simulator tree` has filled")
    if device_nodes and not can_make_devices(directory):
        raise ImpossibleError("device nodes need root; --no-mknod makes regular files instead")
    for name in TREES:
        if (directory / name).is_symlink() or (directory / name).is_mount():
            raise ImpossibleError(f"{directory / name}: expected a directory, found a link or a mount")
    (directory / MARKER).write_text(MARKED)
    for name in TREES:
        if (directory / name).exists():
            shutil.rmtree(directory / name)
    tree = SimulatedTree(directory, device_nodes=device_nodes, cpus_per_numa_node=node.cpus_per_numa_node)
    for device in node.devices:
        tree.add(device)

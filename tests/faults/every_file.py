"""Let every file that a family looks at fail with every errno, and hang: python -m faults.every_file DIRECTORY FAMILY.

Run by `test_every_file.py` in a process that has `failing.c` loaded. For each path and errno it scans once and prints
what is not as it has to be; the last line says how many scans there were.
"""

import ctypes
import errno
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from soak.truth import ids_of
from xpu_plugins.node_agent.families import program
from xpu_shared.device import ScanResult
from xpu_shared.plugin import Plugin
from xpu_simulator.node import Node
from xpu_simulator.tree import SimulatedTree

ERRNOS = (
    *(errno.EACCES, errno.EBUSY, errno.EINVAL, errno.EIO, errno.ELOOP, errno.EMFILE, errno.ENODEV),
    *(errno.ENOENT, errno.ENOMEM, errno.ENOTDIR, errno.ENXIO, errno.EPERM, errno.ESTALE, errno.ETIMEDOUT),
)
HANG = -1
UNPLUGGED = (errno.ENOENT, errno.ENODEV, errno.ENXIO)  # nothing has to be said of what is not there any more
NODE = Node.model_validate(
    {
        "gpus": [{"numa_node": 0}, {"numa_node": 1}],
        "dsa": [{"queues": [{"mode": "shared"}, {}]}, {"queues": [{}]}],
        "iaa": [{"queues": [{}]}, {"queues": [{}]}],
        "dlb": [{"vfs": 2}, {}],
        "sgx": {},
        "npus": [{}, {}],
    }
)
Found = dict[tuple[str, str], object]
LIBRARY = ctypes.CDLL(None)
EFFECTS: list[str] = []  # what came of the scans that a fault made another one


def main(root: Path, family: str) -> int:
    tree = SimulatedTree(root)
    for device in NODE.devices:
        tree.add(device)
    chosen = program(family)
    settings = chosen.settings(
        chosen.load([f"--sysfs-root={tree.sysfs}", f"--dev-root={tree.dev}", f"--cdi-dir={root}/cdi"])
    )
    plugin = chosen.plugin(settings)
    usual = plugin.scan()
    whole = found_by(plugin, usual)
    assert whole, f"{family} finds nothing: {usual.problems}"
    scans = wrong = hung = 0
    owned = entries(root)
    for path in read_by(plugin, root):
        owner = owner_of(path, owned)
        for number in ERRNOS:
            for read_only in (0, 1):
                LIBRARY.xpu_fail(os.fsencode(path), number, read_only)
                for text in wrongs(plugin, owner, number, usual):
                    wrong += 1
                    print(f"{errno.errorcode[number]} {'while reading' if read_only else 'at'} {path}: {text}")
                scans += 1
        for read_only in (0, 1):
            found, hangs = found_after_a_hang(plugin, path, read_only)
            hung += hangs
            if found != whole:
                wrong += 1
                print(f"after a hang {'while reading' if read_only else 'at'} {path} not all is found")
    LIBRARY.xpu_fail(b"", 0, 0)
    after = "all is found again" if found_by(plugin, plugin.scan()) == whole else "not all is found again"
    print(f"{scans} scans, {len(EFFECTS)} with an effect, {wrong} wrong, {hung} hung, {after}")
    return 0


def read_by(plugin: Plugin, root: Path) -> list[str]:
    """The paths below `root` that one scan looks at, in order."""
    notes = root / "notes"
    LIBRARY.xpu_note(os.fsencode(root), os.fsencode(notes))
    plugin.scan()
    LIBRARY.xpu_note(b"", b"")
    return sorted(set(notes.read_text().splitlines()))


def found_after_a_hang(plugin: Plugin, path: str, read_only: int) -> tuple[Found, bool]:
    """What a scan finds that hangs at a path until the path answers, and whether it has hung: other threads go on."""
    found: list[Found] = []
    LIBRARY.xpu_fail(os.fsencode(path), HANG, read_only)
    thread = threading.Thread(target=lambda: found.append(found_by(plugin, plugin.scan())), daemon=True)
    thread.start()
    while not (hangs := bool(LIBRARY.xpu_hangs())) and thread.is_alive():
        thread.join(0.0001)
    assert not (hangs and found)
    LIBRARY.xpu_fail(b"", 0, 0)
    thread.join(10)
    return (found[0] if found else {}), hangs


def wrongs(plugin: Plugin, owner: str, number: int, usual: ScanResult) -> Iterator[str]:
    """What is not as it has to be, in words."""
    whole = found_by(plugin, usual)
    own = next((set(ids_of(device)) for device in NODE.devices if device.name == owner), set(whole))
    others = sorted(whole.keys() - own)
    try:
        result = plugin.scan()
    except OSError as error:  # the framework keeps what was known
        EFFECTS.append(str(error))
        if others:
            yield f"the whole scan fails for a file of {owner}"
        return
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
        yield repr(error)
        return
    found = found_by(plugin, result)
    if (found, result.problems) != (whole, usual.problems):
        EFFECTS.append(str(result.problems))
    yield from (f"{id_} is another one, which is not of {owner}" for id_ in others if found.get(id_) != whole[id_])
    lost = whole.keys() - found.keys()
    if lost and result.problems == usual.problems and number not in UNPLUGGED:
        yield f"{sorted(lost)} are lost without a word"


def found_by(plugin: Plugin, result: ScanResult) -> Found:
    return {
        (f"{plugin.namespace}/{type_}", device.id): device
        for type_, devices in result.devices.items()
        for device in devices
    }


def entries(root: Path) -> dict[str, list[str]]:
    """What there is of each device, by its name."""
    return {
        device.name: [
            str(root / entry.path)
            for part in device.parts
            for entry in (*part.on_bus(cpus_per_numa_node=16), *part.driven(), *part.udev_links())
        ]
        for device in NODE.devices
    }


def owner_of(path: str, owned: Mapping[str, Sequence[str]]) -> str:
    """The name of the only device that the path is of; empty for directories that several share."""
    owners = [
        name for name, own in owned.items() if any(path == entry or path.startswith(f"{entry}/") for entry in own)
    ]
    return owners[0] if len(owners) == 1 else ""


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))

"""What the program before ours has left: it wrote labels in temporary directories, and a crash kept them for ever."""

import contextlib
import re
from pathlib import Path

DIRECTORY = re.compile(r"xpumsidecar[0-9]+")
FILE = "xpum-sidecar-labels.txt"


def remove_leftovers(directory: Path) -> None:
    """Remove its temporary directories. One with anything else in it is not one of these, and stays."""
    with contextlib.suppress(OSError):
        for entry in directory.iterdir():
            if DIRECTORY.fullmatch(entry.name) and entry.is_dir() and not entry.is_symlink():
                with contextlib.suppress(OSError):
                    if {child.name for child in entry.iterdir()} <= {FILE}:
                        (entry / FILE).unlink(missing_ok=True)
                        entry.rmdir()

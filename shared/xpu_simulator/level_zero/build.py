"""Compiles the library, with the machine's C compiler or the one that installs as a wheel."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from xpu_simulator.errors import ImpossibleError

SOURCE = Path(__file__).with_name("stub.c")
SONAME = "libze_loader.so.1"
FLAGS = ("-shared", "-fPIC", "-O1", "-fvisibility=hidden", f"-Wl,-soname,{SONAME}")
PATIENCE = 180.0  # seconds: a compiler as a wheel builds its own runtime first


def compiler() -> list[str]:
    """The command of a C compiler; ImpossibleError when there is none."""
    for name in ("cc", "gcc", "clang"):
        if found := shutil.which(name):
            return [found]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    raise ImpossibleError(
        "no C compiler for the simulated Level-Zero library: install gcc or clang, or ziglang with pip"
    )


def compile_library(directory: Path, *, api: int = 112, command: Sequence[str] | None = None) -> Path:
    """The simulated loader in `directory`, under its real name.

    Args:
        api: what to be as old as: 104 is a loader without zesInit.
        command: a compiler; by default the one that is found.
    Raises:
        ImpossibleError
    """
    target = directory / SONAME
    arguments = [*(command or compiler()), *FLAGS, f"-DAPI={api}", "-o", str(target), str(SOURCE), "-lpthread"]
    try:
        subprocess.run(
            arguments, check=True, capture_output=True, text=True, timeout=PATIENCE, env=_environment(directory)
        )
    except subprocess.CalledProcessError as error:
        raise ImpossibleError(f"{arguments[0]} cannot compile {SOURCE.name}: {error.stderr[-2000:]}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ImpossibleError(f"{arguments[0]}: {error}") from None
    return target


def _environment(directory: Path) -> Mapping[str, str]:
    """Nothing is left outside of the directory."""
    caches = {name: str(directory / "cache") for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")}
    return {**os.environ, **caches}

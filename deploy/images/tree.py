"""The root file system of an image, put together inside the base image by the base's own Python.

It holds the interpreter with the part of its library that programs at work need, our code and its dependencies from the
context, compiled, the shared libraries that all of it is linked with, certificates, and everybody's licences; no shell
and no package manager. `/licenses/components.json` says what is in it.

    python3 -m images.tree CONTEXT ROOT
"""

import compileall
import json
import os
import re
import shutil
import site
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from py_compile import PycInvalidationMode

from images.components import debian_components, driver_component, python_components

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# Opened by name at run time, so that nothing is linked with them: udev by pyudev, gcc_s by threads that end.
OPENED_BY_NAME = ("libudev.so.1", "libgcc_s.so.1")
LDCONFIG = Path("/sbin/ldconfig")  # ctypes asks it where a library is, for pyudev
NOT_AT_WORK = {  # of the standard library: tests, other people's user interfaces, installers, development
    *(
        "curses",
        "dbm",
        "distutils",
        "doctest.py",
        "ensurepip",
        "idlelib",
        "lib2to3",
        "pdb.py",
        "pydoc.py",
        "pydoc_data",
    ),
    *("sitecustomize.py", "sqlite3", "test", "tests", "tkinter", "turtle.py", "turtledemo", "unittest", "venv"),
    *("xmlrpc", "LICENSE.txt", "EXTERNALLY-MANAGED", "site-packages", "dist-packages", "__pycache__"),
}
NOT_AT_WORK_PATTERN = re.compile(
    r"config-\d.*|(_tkinter|_curses.*|_sqlite3|_g?dbm|readline|nis|ossaudiodev|_crypt|_test.*|_xx.*|xx.*|_ctypes_test)\..*so"
)
# Everything of ours imports what it needs of the standard library; other dependencies may be another image's.
IMPORT_EVERYTHING = """
import importlib, pkgutil, ssl, sys

def check(name):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] in sys.stdlib_module_names:
            raise

for package in [package.name for package in pkgutil.iter_modules() if package.name.startswith("xpu_")]:
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if not module.name.endswith(".__main__"):
            check(module.name)
assert ssl.create_default_context().get_ca_certs(), "no certificates"
"""
NOT_OF_PACKAGES = {"tests", "__pycache__", "RECORD", "REQUESTED", "INSTALLER", ".lock", "bin"}
SOURCES = (".pyx", ".pxd", ".pyi", ".h", ".c", ".cpp", ".pxi")


def main(context: Path, root: Path) -> None:
    description = json.loads((context / "image.json").read_text())
    root.mkdir()
    for name in ("bin", "lib", "lib64", "sbin"):  # as in the base, where these are links since /usr is one tree
        if Path("/", name).is_symlink():
            (root / name).symlink_to(Path("/", name).readlink())
    for directory, mode in (("dev", 0o755), ("proc", 0o755), ("sys", 0o755), ("run", 0o755), ("tmp", 0o1777)):
        (root / directory).mkdir()
        (root / directory).chmod(mode)
    copied = interpreter(root)
    drivers = driver_packages(context / "drivers", root)
    packages = Path(site.getsitepackages()[0])
    copy_packages(context / "packages", root / packages.relative_to("/"))
    write_launchers(description["programs"], root)
    copied += certificates(root)
    copied += libraries(root)
    write_users(root)
    components = [
        *debian_components(copied, root),
        *drivers,
        *python_components(root / packages.relative_to("/"), root),
    ]
    (root / "licenses/components.json").write_text(json.dumps(components, indent=1) + "\n")
    byte_code(root, [sysconfig.get_path("stdlib"), str(packages)])
    subprocess.run(["chroot", root, sys.executable, "-sPB", "-c", IMPORT_EVERYTHING], check=True)
    for path in (root, *root.rglob("*")):
        os.utime(path, (description["time"],) * 2, follow_symlinks=False)


def place(root: Path, path: Path) -> Path:
    """Where a file of the base is in the image: behind the base's links to directories."""
    there = root / path.parent.resolve().relative_to("/") / path.name
    there.parent.mkdir(parents=True, exist_ok=True)
    return there


def copy(root: Path, path: Path) -> Path:
    """Copy a file of the base, links to it resolved, and say which file it was."""
    shutil.copy(path, place(root, path))
    return path


def interpreter(root: Path) -> list[Path]:
    executable = copy(root, Path(sys.executable).resolve())
    link = place(root, executable.with_name("python3"))
    if link.name != executable.name:
        link.symlink_to(executable.name)

    def ignored(directory: str, names: list[str]) -> set[str]:
        return {name for name in names if name in NOT_AT_WORK or NOT_AT_WORK_PATTERN.fullmatch(name)}

    library = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(library, root / library.relative_to("/"), ignore=ignored)
    # dpkg is asked for two files of the library, because Debian splits it in two packages
    return [executable, library / "os.py", library / "asyncio/base_events.py"]


def copy_packages(packages: Path, there: Path) -> None:
    def ignored(directory: str, names: list[str]) -> set[str]:
        return {name for name in names if name in NOT_OF_PACKAGES or name.endswith(SOURCES)}

    shutil.copytree(packages, there, ignore=ignored)


def write_launchers(programs: dict[str, str], root: Path) -> None:
    """Programs at the paths that manifests name. -s, -P: only what is in the image is imported."""
    for name, entry_point in programs.items():
        module, _, function = entry_point.partition(":")
        launcher = root / "usr/local/bin" / name
        launcher.parent.mkdir(parents=True, exist_ok=True)
        code = f"import sys\n\nfrom {module} import {function}\n\nsys.exit({function}())\n"
        launcher.write_text(f"#!{Path(sys.executable).resolve()} -sP\n{code}")
        launcher.chmod(0o755)


def certificates(root: Path) -> list[Path]:
    copy(root, CERTIFICATES)
    default = Path(ssl.get_default_verify_paths().openssl_cafile)
    if not place(root, default).exists():
        place(root, default).symlink_to(CERTIFICATES)
    return [Path("/etc/ca-certificates.conf"), Path("/usr/sbin/update-ca-certificates")]


def driver_packages(directory: Path, root: Path) -> list[dict[str, str]]:
    """Unpack the libraries of Debian packages, for the sidecar that opens a driver, and their licences."""
    components = []
    for package in sorted(directory.glob("*.deb")):
        unpacked = Path("/unpacked", package.stem)
        unpacked.mkdir(parents=True)
        subprocess.run(["dpkg-deb", "--extract", package, unpacked], check=True)
        for path in unpacked.rglob("*"):
            inside = Path("/", path.relative_to(unpacked))
            if not path.is_dir() and ".so" in path.name and "/lib" in str(inside):
                shutil.copy(path, place(root, inside), follow_symlinks=False)
        components.append(driver_component(package, unpacked, root))
    return components


def libraries(root: Path) -> list[Path]:
    """Copy every shared library that anything in the tree is linked with, and the loader."""
    found = {Path(path): None for path in linked_with(elf_files(root), root)}
    cache = subprocess.run([LDCONFIG, "-p"], check=True, capture_output=True, text=True).stdout
    for name in OPENED_BY_NAME:
        match = re.search(rf"^\s*{re.escape(name)} .*x86-64.* => (\S+)$", cache, re.MULTILINE)
        if not match:
            raise SystemExit(f"the base image has no {name}")
        found.update({Path(path): None for path in [match[1], *linked_with([Path(match[1])], root)]})
    copied = [copy(root, path) for path in found if not place(root, path).exists()]
    copied.append(copy(root, LDCONFIG))
    (root / "etc").mkdir(exist_ok=True)
    for path in (Path("/etc/ld.so.conf"), *sorted(Path("/etc/ld.so.conf.d").glob("*.conf"))):
        copy(root, path)
    subprocess.run([LDCONFIG, "-r", root], check=True)
    shutil.rmtree(root / "var", ignore_errors=True)  # ldconfig's notes for itself
    return copied


def elf_files(root: Path) -> list[Path]:
    return [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink() and is_elf(path)]


def is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def linked_with(files: Iterable[Path], root: Path) -> list[str]:
    """Paths in the base. What is not found, and not in the tree either, ends the build."""
    own = ":".join(sorted({str(file.parent) for file in files if root in file.parents and ".so" in file.name}))
    environment = {**os.environ, "LD_LIBRARY_PATH": own}
    found: dict[str, None] = {}
    for file in files:
        output = subprocess.run(["ldd", file], check=False, capture_output=True, text=True, env=environment).stdout
        if missing := re.findall(r"^\s*(\S+) => not found", output, re.MULTILINE):
            raise SystemExit(f"{file} needs {', '.join(missing)}, which neither the base image nor a package has")
        paths = re.findall(r"(?:=> )?(/\S+) \(0x", output)
        found.update(dict.fromkeys(path for path in paths if root not in Path(path).parents))
    return list(found)


def write_users(root: Path) -> None:
    (root / "etc/passwd").write_text("root:x:0:0:root:/:/nonexistent\nnobody:x:65534:65534:nobody:/:/nonexistent\n")
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")


def byte_code(root: Path, directories: Iterable[str]) -> None:
    """Compile everything; valid whatever becomes of the files' times."""
    for directory in directories:
        there = root / directory.lstrip("/")
        done = compileall.compile_dir(
            there,
            maxlevels=20,
            quiet=1,
            stripdir=str(root),
            prependdir="/",
            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
        )
        if not done:
            raise SystemExit(f"not everything in {directory} compiles")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

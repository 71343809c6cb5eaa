"""What a tree is made of: packages of Debian and Python with their versions, and the licence of each in the tree."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from email.parser import HeaderParser
from pathlib import Path


def debian_components(copied: Iterable[Path], root: Path) -> Iterator[dict[str, str]]:
    owners = {package for path in copied for package in owners_of(path)}
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)', Path("/etc/os-release").read_text(), re.MULTILINE))
    for owner in sorted(owners):
        query = ["dpkg-query", "--show", "--showformat=${Package} ${Version} ${Architecture}", owner]
        name, version, architecture = subprocess.run(query, check=True, capture_output=True, text=True).stdout.split()
        keep_licence(root, name, Path("/usr/share/doc", name, "copyright"))
        distro = f"{release['ID']}-{release.get('VERSION_ID', '')}"
        purl = f"pkg:deb/{release['ID']}/{name}@{version}?arch={architecture}&distro={distro}"
        yield {"name": name, "version": version, "purl": purl}


def driver_component(package: Path, unpacked: Path, root: Path) -> dict[str, str]:
    """A package of somebody else's, that dpkg of the base does not know."""
    shown: list[str | Path] = ["dpkg-deb", "--show", "--showformat=${Package} ${Version} ${Architecture}", package]
    name, version, architecture = subprocess.run(shown, check=True, capture_output=True, text=True).stdout.split()
    for text in sorted((unpacked / "usr/share/doc").rglob("copyright")):
        keep_licence(root, name, text)
    return {"name": name, "version": version, "purl": f"pkg:deb/{name}@{version}?arch={architecture}"}


def owners_of(path: Path) -> list[str]:
    """The Debian packages a file is of; dpkg may know it by its name from before /usr became one tree."""
    real = str(path.resolve())
    for name in (str(path), real, real.removeprefix("/usr"), str(path).removeprefix("/usr")):
        done = subprocess.run(["dpkg-query", "--search", name], check=False, capture_output=True, text=True)
        if done.returncode == 0:
            return [line.rpartition(": ")[0].split(", ")[0] for line in done.stdout.splitlines()]
    return []


def python_components(packages: Path, root: Path) -> Iterator[dict[str, str]]:
    for information in sorted(packages.glob("*.dist-info")):
        metadata = HeaderParser().parsestr((information / "METADATA").read_text())
        name, version = metadata["Name"], metadata["Version"]
        licences = [path for path in information.rglob("*") if path.is_file() and is_licence(path)]
        for path in licences:
            keep_licence(root, name, path)
        purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
        licence = metadata["License-Expression"] or metadata["License"] or ""
        yield {"name": name, "version": version, "purl": purl, "licence": licence.partition("\n")[0]}


def is_licence(path: Path) -> bool:
    return bool(re.match(r"(licen[cs]e|copying|notice|authors)", path.name, re.IGNORECASE))


def keep_licence(root: Path, component: str, text: Path) -> None:
    directory = root / "licenses" / component
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(text, directory / text.name)

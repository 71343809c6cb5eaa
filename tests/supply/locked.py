"""The packages that a lock file names, with their hashes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

PACKAGE = re.compile(r"([A-Za-z0-9_.-]+)==([^ ;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
BY_CLASSIFIER = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.1-or-later",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
}
SPELT = {
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD 2-Clause License": "BSD-2-Clause",
    "PSFL": "PSF-2.0",
}


@dataclass(frozen=True, slots=True)
class Locked:
    name: str
    version: str
    hashes: tuple[str, ...]  # SHA-256 of its files, in hexadecimal digits


def read(lock: Path) -> Iterator[Locked]:
    for entry in re.split(r"\n(?=\S)", lock.read_text()):
        if found := PACKAGE.match(entry):
            yield Locked(found[1], found[2], tuple(HASH.findall(entry)))


def licence(package: str) -> str | None:
    """As an SPDX expression; None for a package that is not for this platform, empty when it does not tell."""
    try:
        told = metadata(package)
    except PackageNotFoundError:
        return None
    text = "".join((told.get_all("License-Expression") or told.get_all("License") or [])[:1])
    by_classifier = [BY_CLASSIFIER[line] for line in told.get_all("Classifier") or [] if line in BY_CLASSIFIER]
    if text and "\n" not in text and len(text) < 60:
        return SPELT.get(text, text)
    return " AND ".join(by_classifier)

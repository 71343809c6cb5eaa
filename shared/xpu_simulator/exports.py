"""What a node tells the outside: lines of its programs' metrics pages, and the labels that it wants for itself."""

import asyncio
import socket
import urllib.request
from collections.abc import Sequence
from pathlib import Path

PATIENCE = 2.0  # seconds for a page
LOOK = 0.1  # seconds between looks for lines that are not there yet


class Exports:
    """`addresses` are where programs may serve their pages, `features` is the directory of NFD's feature files."""

    def __init__(self, addresses: Sequence[str], features: Path) -> None:
        self._addresses = addresses
        self._features = features

    async def metrics(self, beginnings: Sequence[str], *, within: float) -> list[str]:
        """The lines of all pages that begin so, as soon as there is one for each beginning; else those there are."""
        deadline = asyncio.get_running_loop().time() + within
        while True:
            lines = [line for address in self._addresses for line in await asyncio.to_thread(_page, address)]
            found = [line for beginning in beginnings for line in lines if line.startswith(beginning)]
            complete = all(any(line.startswith(beginning) for line in found) for beginning in beginnings)
            if complete or asyncio.get_running_loop().time() >= deadline:
                return found
            await asyncio.sleep(LOOK)

    def labels(self) -> list[str]:
        """The lines of all feature files, without their comments."""
        files = sorted(path for path in self._features.glob("*") if path.is_file() and not path.name.startswith("."))
        return [line for path in files for line in path.read_text().splitlines() if not line.startswith("#")]


def free_address() -> str:
    """An address of this machine that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        host, port = found.getsockname()
        return f"{host}:{port}"


def _page(address: str) -> list[str]:
    """The lines of a program's metrics; none while it has no page."""
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=PATIENCE) as answer:
            return str(answer.read(), "utf-8").splitlines()
    except OSError:
        return []

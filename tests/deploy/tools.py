"""The programs that render what is shipped: kustomize, or kubectl which has it built in, and Helm.

`make tools` puts them into build/tools; others on PATH serve as well. Where one is missing its tests are left out.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "build/tools"


def kustomize() -> list[str]:
    """The command that builds the directory named after it."""
    assets = os.environ.get("KUBEBUILDER_ASSETS", "")
    for directory, program in ((str(TOOLS), "kustomize"), (assets, "kubectl"), (None, "kustomize"), (None, "kubectl")):
        if directory != "" and (found := shutil.which(program, path=directory)):
            return [found, "build"] if program == "kustomize" else [found, "kustomize"]
    pytest.skip("needs kustomize or kubectl: `make tools` builds it where there is Go")


def helm() -> str:
    for directory in (str(TOOLS), None):
        if found := shutil.which("helm", path=directory):
            return found
    pytest.skip("needs helm: `make tools` builds it where there is Go")


def kinds() -> Path:
    """The program that knows objects of other projects: `kinds/main.go`."""
    if not (TOOLS / "kinds").exists():
        pytest.skip("needs build/tools/kinds: `make tools` builds it where there is Go")
    return TOOLS / "kinds"


def run(command: Sequence[str | Path], *, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Offline: a command that wants the network fails. `text` is its standard input."""
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=os.environ | nowhere)

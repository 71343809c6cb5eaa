"""The first moments of each program, and what they leave out of its memory."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.api_server import serving

PROGRAMS = (
    "xpu_plugins.gpu",
    "xpu_plugins.dsa",
    "xpu_plugins.iaa",
    "xpu_plugins.dlb",
    "xpu_plugins.sgx",
    "xpu_plugins.npu",
    "xpu_plugins.node_agent",
    "xpu_sidecars.level_zero",
)
# A program that is sent a signal by the first module that it imports for its work.
INTERRUPTED = """
import os, signal, sys
class Finder:
    def find_spec(name, path=None, target=None):
        if name == {moment!r}:
            os.kill(os.getpid(), {number})
            signal.pthread_sigmask(signal.SIG_BLOCK, ())  # has it delivered here
sys.meta_path.insert(0, Finder)
from {module} import main
sys.exit(main())
"""


def interrupted(module: str, number: int, *arguments: str, moment: str) -> subprocess.CompletedProcess[str]:
    """The module's `main`, when the signal comes as it begins to import another."""
    return python(INTERRUPTED.format(module=module, number=int(number), moment=moment), *arguments)


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], check=False, capture_output=True, text=True, timeout=30
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_signal_ends_a_program_while_it_still_imports(program: str, number: signal.Signals) -> None:
    result = interrupted(f"{program}.__main__", number, moment="asyncio")

    assert (result.returncode, result.stderr) == (0, "")


def test_ctrl_c_ends_the_simulator_quietly_while_it_still_imports() -> None:
    result = interrupted("xpu_simulator.start", signal.SIGINT, moment="xpu_simulator.__main__")

    assert (result.returncode, result.stderr) == (-signal.SIGINT, "")


def test_a_plugin_with_all_its_features_loads_no_openssl() -> None:
    """It is 4 MiB of memory."""
    result = python(
        "import sys\n"
        "from xpu_shared.program.beginning import begin\n"
        "begin()\n"
        "from xpu_shared.program.without_tls import import_metrics_library\n"
        "import_metrics_library()\n"
        "import xpu_plugins.gpu.judged, xpu_plugins.gpu.sidecars, xpu_shared.observation, xpu_shared.runner\n"
        "import xpu_sidecars.level_zero.observation\n"
        "print([name for name in sys.modules if name in ('_ssl', '_hashlib', 'urllib.request')])\n"
    )

    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_what_imports_tls_later_has_it(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from xpu_shared.program.beginning import begin\n"
        "begin()\n"
        "from xpu_shared.program.without_tls import import_metrics_library\n"
        "import_metrics_library()\n"
        "import http.client, ssl, urllib.request\n"
        "assert ssl.SSLContext.__module__ == 'ssl' and issubclass(ssl.SSLError, OSError)\n"
        "assert '_ssl' in sys.modules and http.client.HTTPSConnection('localhost') and urllib.request.HTTPSHandler()\n"
        "from xpu_shared.api_server import ApiServer\n"
        "api = ApiServer(host='localhost', port=int(sys.argv[1]), service_account=Path(sys.argv[2]))\n"
        "print(api.request('GET', '/api/v1/nodes/n1'))\n"
    )
    with serving(tmp_path) as (miniature, api):
        miniature.nodes["n1"] = {"metadata": {"name": "n1"}}
        result = python(code, api.port, tmp_path)

    assert (result.stdout, result.stderr) == ("{'metadata': {'name': 'n1'}}\n", "")


@pytest.mark.parametrize(("first", "then"), [("import ssl", "True"), ("pass", "False")])
def test_a_program_that_has_tls_already_keeps_it(first: str, then: str) -> None:
    result = python(
        f"{first}\n"
        "from xpu_shared.program.without_tls import import_asyncio\n"
        "import_asyncio()\n"
        "import asyncio.sslproto\n"
        "print(asyncio.sslproto.ssl is not None)\n"
    )

    assert (result.stdout, result.stderr) == (f"{then}\n", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("program", ["xpu_plugins.gpu", "xpu_plugins.node_agent"])
def test_discover_dies_of_signals_as_commands_do(program: str, number: signal.Signals) -> None:
    result = interrupted(f"{program}.__main__", number, "discover", moment="xpu_shared.discovery")

    assert (result.returncode, result.stderr) == (-number, "")

"""The table of families that the node agent can run. A family is added by its line.

What it names is imported when the family is chosen, or when its section of a file or the help is read.
"""

from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any

from xpu_shared.plugin_program import PluginProgram

FAMILIES: Mapping[str, str] = {
    "gpu": "xpu_plugins.gpu.program:PROGRAM",
    "dsa": "xpu_plugins.dsa.program:PROGRAM",
    "iaa": "xpu_plugins.iaa.program:PROGRAM",
    "dlb": "xpu_plugins.dlb.program:PROGRAM",
    "sgx": "xpu_plugins.sgx.program:PROGRAM",
    "npu": "xpu_plugins.npu.program:PROGRAM",
}


def program(family: str) -> PluginProgram[Any]:
    """The family's plugin as a program; the agent makes its plugin and checks its settings with it."""
    found = resolve_name(FAMILIES[family])
    assert isinstance(found, PluginProgram)
    return found

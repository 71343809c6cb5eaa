"""The SGX plugin as a program."""

import os

from xpu_plugins.sgx.limits import VARIABLE
from xpu_plugins.sgx.plugin import SgxPlugin
from xpu_plugins.sgx.settings import SgxSettings
from xpu_shared.plugin_program import PluginProgram
from xpu_shared.program.table import CDI_DEVICE


def plugin(settings: SgxSettings) -> SgxPlugin:
    cpus = len(os.sched_getaffinity(0))
    return SgxPlugin(settings, pods_per_core=os.environ.get(VARIABLE, ""), cpus=cpus)


PROGRAM = PluginProgram(
    name="xpu-sgx-plugin",
    description="Offers this node's SGX enclaves to Kubernetes: a device plugin for the kubelet.",
    settings_type=SgxSettings,
    plugin=plugin,
    unit="SGX enclave",
    columns=(CDI_DEVICE,),
)

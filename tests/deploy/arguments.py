"""Whether the program of a container takes its arguments: read by the program's own settings."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.pods import Container, Pod, pods
from deploy.rendering import Object
from xpu_plugins.dlb.program import PROGRAM as DLB
from xpu_plugins.dlb.provision.settings import DlbProvisioningSettings
from xpu_plugins.dsa.program import PROGRAM as DSA
from xpu_plugins.gpu.program import PROGRAM as GPU
from xpu_plugins.iaa.program import PROGRAM as IAA
from xpu_plugins.idxd_provision.settings import IdxdProvisioningSettings, Surroundings
from xpu_plugins.node_agent import settings as node_agent
from xpu_plugins.npu.program import PROGRAM as NPU
from xpu_plugins.sgx.epc.settings import EpcSettings
from xpu_plugins.sgx.program import PROGRAM as SGX
from xpu_shared.plugin_program import DISCOVER
from xpu_shared.program.flags import UsageError
from xpu_shared.program.settings import load
from xpu_shared.provisioning.program import WORDS
from xpu_sidecars.level_zero.settings import SidecarSettings
from xpu_sidecars.xelink.settings import XelinkSettings


def read(settings_type: type[Any], words: Mapping[str, str] | None = None) -> "Reader":
    return lambda arguments: load(settings_type, arguments, program="", description="", words=words)


Reader = Callable[[Sequence[str]], object]  # UsageError

READERS: dict[str, Reader] = {
    "intel-dlb-initcontainer": read(DlbProvisioningSettings, WORDS),
    "intel-dlb-plugin": DLB.load,
    "intel-dsa-plugin": DSA.load,
    "intel-gpu-levelzero": read(SidecarSettings),
    "intel-gpu-plugin": lambda arguments: GPU.settings(GPU.load(arguments)),
    "intel-iaa-plugin": IAA.load,
    "intel-idxd-config-initcontainer": read(IdxdProvisioningSettings, WORDS),
    "intel-npu-plugin": NPU.load,
    "intel-sgx-initcontainer": read(EpcSettings),
    "intel-sgx-plugin": SGX.load,
    "intel-xpumanager-sidecar": read(XelinkSettings),
    "xpu-node-agent": lambda arguments: node_agent.load(arguments, words={"discover": DISCOVER}),
}
VARIABLES = {"HOST_IP": "192.0.2.7", "POD_UID": "6f1d6ed3-8d3b-4a47-9a8d-6a9a3a2f2a61"}
PROVISIONING = "intel-idxd-config-initcontainer"


def refusals(objects: Sequence[Object], directory: Path) -> list[str]:
    """One line for each container whose program would end at once.

    Args:
        directory: for files that containers have from ConfigMaps.
    """
    found = []
    for pod in pods(objects):
        for container in pod.containers:
            try:
                READERS[container.image](_arguments(pod, container, objects, directory))
                if container.image == PROVISIONING:  # whose variables are the reference's
                    Surroundings.of({entry["name"]: entry.get("value", "") for entry in container.fields["env"]}, None)
            except UsageError as error:
                found.append(f"{pod.owner}, container {container.name}: {error}")
    return found


def _arguments(pod: Pod, container: Container, objects: Sequence[Object], directory: Path) -> list[str]:
    """As the kubelet gives them, with files of ConfigMaps where a program of ours can read them."""
    variables = {entry["name"] for entry in container.fields.get("env", [])} & VARIABLES.keys()
    arguments = []
    for argument in container.fields.get("args", []):
        text = re.sub(r"\$\((\w+)\)", lambda m: VARIABLES[m[1]] if m[1] in variables else m[0], argument)
        for name, mount in container.mounts.items():
            if "configMap" in pod.volumes[name] and f"={mount['mountPath']}/" in text:
                _write(pod.volumes[name]["configMap"]["name"], objects, directory / name)
                text = text.replace(f"={mount['mountPath']}/", f"={directory / name}/")
        arguments.append(text)
    return arguments


def _write(config_map: str, objects: Sequence[Object], directory: Path) -> None:
    (found,) = (one for one in objects if one["kind"] == "ConfigMap" and one["metadata"]["name"] == config_map)
    directory.mkdir(exist_ok=True)
    for name, text in found["data"].items():
        (directory / name).write_text(text)

"""What pods of ours may have beyond nothing, each with its reason. docs/security.md has the same in a table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HostPath:
    reason: str
    writable: bool = False


# Containers by name, in pods by their owner's name.
PRIVILEGED = {
    ("intel-gpu-plugin", "intel-gpu-levelzero"): "a pod cannot ask for the GPUs that it is going to offer",
}
CAPABILITIES = {
    ("xpu-level-zero-sidecar", "intel-gpu-levelzero"): {"SYS_ADMIN": "drivers count how busy engines are for it only"},
    ("xpu-xelink-sidecar", "xelink-sidecar"): {"SYS_ADMIN": "drivers tell of fabric ports to it only"},
}
HOST_PATHS = {
    "/dev": HostPath(
        "to see which device files come and go; a mount of a directory below is an orphan once it is remade"
    ),
    "/var/lib/kubelet/device-plugins": HostPath("the kubelet's socket, and the plugin's beside it", writable=True),
    "/var/lib/kubelet/pod-resources": HostPath("who holds a device that is gone"),
    "/var/run/cdi": HostPath("CDI files for the container runtime", writable=True),
    "/run/xpu": HostPath("sockets of sidecars, for plugins of other pods; locks of provisioning", writable=True),
    "/sys/bus": HostPath("provisioning: drivers take and leave devices", writable=True),
    "/sys/devices": HostPath("provisioning: attributes of devices", writable=True),
    "/run/xpumd": HostPath("the socket of XPU Manager's daemon"),
    "/etc/kubernetes/node-feature-discovery/features.d": HostPath("a feature file for NFD", writable=True),
    "/usr/lib/wsl": HostPath("the GPU libraries of the Windows Subsystem for Linux"),
}
TOKENS = {  # containers that have a service account token, which is in a volume of their own
    ("intel-gpu-plugin", "intel-gpu-levelzero"): "to label its node through the API server, where that is chosen",
    ("xpu-level-zero-sidecar", "intel-gpu-levelzero"): "the same",
    ("xpu-xelink-sidecar", "xelink-sidecar"): "the same",
    ("sgx-node-init", "sgx-node-init"): "to tell the node's enclave memory",
    **{
        (name, name): "to write Events, where that is chosen"
        for name in (
            *(f"intel-{family}-plugin" for family in ("dlb", "dsa", "gpu", "iaa", "npu", "sgx")),
            "xpu-node-agent",
        )
    },
}

UNCONFINED = {  # by AppArmor
    ("intel-dlb-plugin", "intel-dlb-initcontainer"): "provisioning writes below /sys",
    ("intel-dsa-plugin", "intel-idxd-config-initcontainer"): "the same",
    ("intel-iaa-plugin", "intel-iaa-initcontainer"): "the same",
}

# What a container needs at least, in MiB: twice what its program has resident when it serves, as the pages measured it.
MEMORY = {
    "intel-dlb-plugin": 84,
    "intel-dsa-plugin": 92,
    "intel-gpu-levelzero": 310,  # with a driver of 100 MiB
    "intel-gpu-plugin": 98,
    "intel-iaa-plugin": 92,
    "intel-npu-plugin": 84,
    "intel-sgx-plugin": 84,
    "intel-dlb-initcontainer": 60,
    "intel-idxd-config-initcontainer": 60,
    "intel-sgx-initcontainer": 50,
    "intel-xpumanager-sidecar": 72,
    "xpu-node-agent": 116,
}

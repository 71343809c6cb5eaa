"""The devices of a node that has SGX: ids for as many containers as may use it at once."""

from collections.abc import Sequence

from xpu_plugins.sgx.device_files import ENCLAVE, PROVISION, device_nodes
from xpu_plugins.sgx.efi import EFI_VARIABLES, has_efi
from xpu_plugins.sgx.settings import SgxSettings
from xpu_shared.device import Device, Problem

NAMESPACE = "sgx.intel.com"


def devices(settings: SgxSettings, *, default_limit: int, problems: list[Problem]) -> dict[str, Sequence[Device]]:
    """What is offered when both device files are there.

    They name no NUMA node: each CPU reaches all enclave memory.

    Args:
        default_limit: for the limits that the settings leave open.
    """
    host_dev, legacy = settings.host_dev_root, settings.legacy_device_paths
    enclave = device_nodes(ENCLAVE, host_dev=host_dev, legacy=legacy)
    provision = device_nodes(PROVISION, host_dev=host_dev, legacy=legacy)
    enclaves = default_limit if settings.enclave_limit is None else settings.enclave_limit
    provisions = default_limit if settings.provision_limit is None else settings.provision_limit
    found: dict[str, Sequence[Device]] = {
        "enclave": [Device(id=f"sgx-enclave-{number}", nodes=enclave) for number in range(enclaves)],
        "provision": [Device(id=f"sgx-provision-{number}", nodes=provision) for number in range(provisions)],
    }
    if settings.dcap_infra_resources:
        both = device_nodes(ENCLAVE, PROVISION, host_dev=host_dev, legacy=legacy)
        found["qe"] = [Device(id="qe-1", nodes=both)]
        if has_efi(settings.sysfs_root, f"{NAMESPACE}/registration", problems):
            found["registration"] = [Device(id="registration-1", nodes=both, cdi=EFI_VARIABLES)]
    return {type_: offered for type_, offered in found.items() if offered}

"""The two files of the kernel's SGX driver, and what a container gets of them."""

from pathlib import Path

from xpu_shared.device import DeviceNode
from xpu_shared.kernel.device_files import CHARACTER_DEVICE, is_simulated, kind_of_file

ENCLAVE, PROVISION = "sgx_enclave", "sgx_provision"
# Where drivers before Linux 5.11 had them; some enclave libraries still look there.
LEGACY = {ENCLAVE: "sgx/enclave", PROVISION: "sgx/provision"}


def absence(file: Path, *, dev: Path) -> str | None:
    """Why the file is not there, None when it is.

    Raises:
        OSError: it cannot be told.
    """
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return "it does not exist"
    kind = kind_of_file(status.st_mode)
    if kind == CHARACTER_DEVICE or is_simulated(dev):
        return None
    return f"expected a character device, found a {kind}"


def device_nodes(*names: str, host_dev: Path, legacy: bool) -> tuple[DeviceNode, ...]:
    """The files as a container sees them; with `legacy` under their old names too."""
    aliases = [(name, LEGACY[name]) for name in names] if legacy else []
    places = [*((name, name) for name in names), *aliases]
    return tuple(DeviceNode(host_path=f"{host_dev}/{name}", container_path=f"/dev/{place}") for name, place in places)

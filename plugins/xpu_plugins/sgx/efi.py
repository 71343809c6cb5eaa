"""EFI variables, in which a platform keeps the registration of its SGX keys."""

import os
from pathlib import Path

from xpu_shared.device import CdiDevice, FilesystemMount, Problem

CDI_KIND = "intel.cdi.k8s.io/sgx"
# Not below /sys/firmware, which container runtimes hide.
EFI_VARIABLES = CdiDevice(
    kind=CDI_KIND,
    name="efivarfs",
    filesystems=(
        FilesystemMount(
            source="efivarfs",
            container_path="/run/efivars",
            type="efivarfs",
            options=("rw", "nosuid", "nodev", "noexec", "relatime"),
        ),
    ),
)


def has_efi(sysfs: Path, resource: str, problems: list[Problem]) -> bool:
    """Whether the host has EFI variables. Where a runtime hides sysfs/firmware, below a mount, it is believed to."""
    firmware = sysfs / "firmware"
    try:
        names = os.listdir(firmware)
    except OSError as error:
        problems.append(Problem(subject=resource, text=f"{firmware / 'efi'}: {error.strerror}", rejected=True))
        return False
    hidden = not names and os.path.ismount(firmware)
    if "efi" not in names and not hidden:
        text = f"this host has no EFI variables: {firmware / 'efi'} does not exist"
        problems.append(Problem(subject=resource, text=text, rejected=True))
        return False
    if hidden:
        text = f"offered unseen: {firmware} is hidden here, so whether this host has EFI variables cannot be told"
        problems.append(Problem(subject=resource, text=text))
    return True

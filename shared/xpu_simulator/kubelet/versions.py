"""Kubelet versions, such as 1.36: kubelets differ by the minor one."""


def minor_version(version: str) -> int:
    """36 of "1.36"; ValueError for what is no version."""
    major, _, minor = version.partition(".")
    if major != "1" or not minor.isdecimal():
        raise ValueError(f"kubelet version {version!r}: expected one such as 1.36")
    return int(minor)

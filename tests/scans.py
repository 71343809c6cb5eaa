"""What tests of scans look at, whatever the family."""

from xpu_shared.device import Device, Problem, ScanResult


def ids(result: ScanResult) -> dict[str, list[str]]:
    """The ids of each device type."""
    return {device_type: [device.id for device in devices] for device_type, devices in result.devices.items()}


def told(result: ScanResult) -> list[tuple[str, str]]:
    """Subject and text of the problems that an administrator is told of."""
    return [(problem.subject, problem.text) for problem in result.problems if not problem.expected]


def rejection(result: ScanResult, subject: str) -> Problem:
    """Why something is not offered."""
    (problem,) = (problem for problem in result.problems if problem.subject == subject and problem.rejected)
    return problem


def device(result: ScanResult, id_: str) -> Device:
    """The one device with this id."""
    (found,) = (device for devices in result.devices.values() for device in devices if device.id == id_)
    return found

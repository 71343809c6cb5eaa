"""Which CDI devices a container runtime would know: those that the files of a directory declare."""

from pathlib import Path

import yaml


def cdi_names(directory: Path) -> frozenset[str]:
    """The qualified names; a file that cannot be used declares none, as runtimes have it."""
    files = sorted(path for pattern in ("*.json", "*.yaml") for path in directory.glob(pattern))
    return frozenset(name for path in files for name in _declared(path))


def _declared(path: Path) -> frozenset[str]:
    try:
        content = yaml.safe_load(path.read_text())  # JSON is YAML
        return frozenset(f"{content['kind']}={device['name']}" for device in content["devices"])
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError, RecursionError):
        return frozenset()

"""Which layout file counts: the one that is named, the node's own, the one for all nodes, the built-in template."""

from importlib.resources import files
from pathlib import Path

from xpu_plugins.idxd_provision.layout import Layout, json_layout, read_layout
from xpu_shared.provisioning.plan import LayoutError

SUFFIXES = (".conf", ".yaml")


def layout(kind: str | None, node_name: str, conf_dir: Path, named: Path | None) -> Layout:
    """The layout of devices of a kind; LayoutError.

    Args:
        kind: dsa or iaa; None: those that the named file is about, and otherwise dsa.
        named: the file of `--config`.
    """
    if named is not None:
        return _of_kind(read_layout(named), kind)
    kind = kind or "dsa"
    names = [f"{kind}-{node_name}"] * bool(node_name) + [kind]
    for path in (conf_dir / f"{name}{suffix}" for name in names for suffix in SUFFIXES):
        if path.is_file():
            return _of_kind(read_layout(path), kind)
    return built_in(kind)


def built_in(kind: str) -> Layout:
    """The template for dsa or iaa: four dedicated user queues on each device."""
    text = files("xpu_plugins.idxd_provision").joinpath(f"templates/{kind}.conf").read_text(encoding="utf-8")
    return json_layout(text, f"the built-in {kind}.conf")


def _of_kind(found: Layout, kind: str | None) -> Layout:
    device = {"dsa": "dsa", "iaa": "iax"}
    if kind is not None and (others := found.kinds - {device[kind]}):
        other = next(dev for dev in found.entries if dev.startswith(min(others)))
        raise LayoutError(f"{found.file}: {other}: expected {device[kind]}X or a device such as {device[kind]}4")
    return found

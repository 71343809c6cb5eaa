"""Whatever a tree holds, a scan ends, and a healthy card stays what it is."""

import os
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from handmade_gpus import HandmadeGpus
from xpu_shared.device import Device, ScanResult

Content = tuple[str, str | bytes]  # kind of entry, and what is in it

# A card that would be offered, in the order of its making; random entries stand in for any of them or beside them.
FUNCTION: dict[str, Content] = {
    "vendor": ("file", b"0x8086\n"),
    "device": ("file", b"0x56c0\n"),
    "numa_node": ("file", b"0\n"),
    "local_cpulist": ("file", b"0-15\n"),
    "sriov_numvfs": ("file", b"0\n"),
    "driver": ("link", "../xe"),
    "drm": ("directory", ""),
    "drm/card1": ("directory", ""),
    "drm/card1/device": ("link", "../.."),
    "drm/renderD129": ("directory", ""),
    "i915.mei-gsc.1": ("directory", ""),
    "i915.mei-gsc.1/mei": ("directory", ""),
    "i915.mei-gsc.1/mei/mei1": ("directory", ""),
}
OTHERS = ["slaves", "drm/controlD65", "drm/\udcff", "a\nb", "local_cpulist/x"]
FILES: dict[str, Content] = {
    "card1": ("file", b""),
    "renderD129": ("file", b""),
    "by-path/pci-0000:00:03.0-card": ("link", "../card1"),
    "by-path/pci-0000:00:03.0-render": ("link", "../renderD129"),
}
texts = st.sampled_from(["0x8086\n", "0x56c0\n", "0\n", "-1\n", "1\n", ""])
contents = st.one_of(
    st.tuples(st.just("file"), st.one_of(st.binary(max_size=80), texts.map(str.encode))),
    st.tuples(st.just("long file"), st.binary(min_size=1, max_size=3).map(lambda data: data * 10_000)),
    st.tuples(
        st.just("link"), st.sampled_from([".", "..", "vendor", "drm", "/", "/dev/zero", "gone", "../xe", "i915"])
    ),
    st.tuples(st.sampled_from(["directory", "pipe"]), st.just("")),
)
functions = st.dictionaries(st.sampled_from([*FUNCTION, *OTHERS]), contents, max_size=4)
dris = st.dictionaries(st.sampled_from([*FILES]), contents, max_size=2)
LINK = "../../devices/pci0000:00/0000:00:03.0/drm/card1"
links = st.one_of(st.just(LINK), st.sampled_from(["card1", "card0", "../..", "/", "gone"]))


def put(root: Path, name: str, kind: str, content: str | bytes) -> None:
    """Make an entry below `root`, where nothing is in its way and no link leads out of the directory."""
    path = root / name
    parent = Path(os.path.realpath(path.parent))  # resolve() would refuse a loop
    if path.is_symlink() or not parent.is_dir() or not parent.is_relative_to(root) or path.exists():
        return
    match content:
        case bytes():
            path.write_bytes(content)
        case _ if kind == "link":
            path.symlink_to(content)
        case _ if kind == "pipe":
            os.mkfifo(path)
        case _:
            path.mkdir()


def healthy(result: ScanResult) -> Device:
    return result.devices["i915"][0]


@given(function=functions, files=dris, link=links)
def test_a_broken_card_neither_stops_a_scan_nor_touches_its_neighbour(
    function: dict[str, Content], files: dict[str, Content], link: str
) -> None:
    with tempfile.TemporaryDirectory() as root:
        gpus = HandmadeGpus(Path(root).resolve())
        gpus.card("card0", files=("card0", "renderD128"))
        gpus.link("pci-0000:00:02.0-card", "../card0")
        choices = {"enable_monitoring": True, "deny_ids": ("0xffff",)}
        before = healthy(gpus.scan(**choices))
        function_directory = gpus.sysfs / "devices/pci0000:00/0000:00:03.0"
        function_directory.mkdir()
        for name, (kind, content) in {**FUNCTION, **function}.items():
            put(function_directory, name, kind, content)
        for name, (kind, content) in {**FILES, **files}.items():
            put(gpus.dev / "dri", name, kind, content)
        (gpus.drm / "card1").symlink_to(link)

        result = gpus.scan(**choices)

        assert healthy(result) == before
        assert not [problem for problem in result.problems if problem.subject == "card0"]
        assert all(problem.text.isprintable() for problem in result.problems)


@given(data=st.binary(min_size=1, max_size=10_000), name=st.sampled_from(["vendor", "numa_node", "sriov_numvfs"]))
def test_any_bytes_in_an_attribute_cost_its_card_at_most(data: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as root:
        gpus = HandmadeGpus(Path(root).resolve())
        gpus.card("card0")
        (gpus.card("card1", path="pci0000:00/0000:00:03.0") / name).write_bytes(data)

        assert healthy(gpus.scan()).id == "card0-0"

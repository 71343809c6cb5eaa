"""Whatever a tree holds, a scan ends, and a healthy function stays what it is."""

import os
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from handmade_dlb import HandmadeDlb
from xpu_plugins.dlb.measurements import measure
from xpu_shared.device import Device, ScanResult

Content = tuple[str, str | bytes]  # kind of entry, and what is in it

# Of the broken function, below its PCI directory.
ATTRIBUTES = [
    "sriov_numvfs",
    "device",
    "numa_node",
    "local_cpulist",
    "physfn",
    "virtfn0",
    "total_resources",
    "total_resources/num_sched_domains",
    "vf0_resources",
    "vf0_resources/func_bar_en",
    "dlb2/dlb1/dev",
    "a\nb",
]
FILES = ["dlb1", "dlb01", "dlb_x", "dlb2"]
contents = st.one_of(
    st.tuples(st.just("file"), st.one_of(st.binary(max_size=80), st.sampled_from([b"0\n", b"1\n", b"-1\n"]))),
    st.tuples(st.just("file"), st.binary(min_size=1, max_size=3).map(lambda data: data * 10_000)),
    st.tuples(st.just("link"), st.sampled_from([".", "..", "device", "/", "/dev/zero", "gone", "physfn", "dlb0"])),
    st.tuples(st.sampled_from(["directory", "pipe"]), st.just("")),
)


def put(path: Path, kind: str, content: str | bytes) -> None:
    """Make an entry in the place of what is there."""
    parent = Path(os.path.realpath(path.parent))
    if path.parent.is_symlink() or not parent.is_dir() or path.is_dir() or path.name in ("", ".."):
        return
    path.unlink(missing_ok=True)
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
    return result.devices["pf"][0]


@given(
    attributes=st.dictionaries(st.sampled_from(ATTRIBUTES), contents, max_size=5),
    files=st.dictionaries(st.sampled_from(FILES), contents, max_size=2),
    choices=st.fixed_dictionaries(
        {"classify": st.sampled_from(["sriov", "pci-id"]), "device_id": st.sampled_from(["path", "bdf"])}
    ),
)
def test_a_broken_function_neither_stops_a_scan_nor_touches_its_neighbour(
    attributes: dict[str, Content], files: dict[str, Content], choices: dict[str, str]
) -> None:
    with tempfile.TemporaryDirectory() as root:
        dlb = HandmadeDlb(Path(root).resolve())
        dlb.pf(0)
        before = healthy(dlb.scan(**choices))
        function = dlb.function(1, "0000:7f:00.0")
        for name, (kind, content) in attributes.items():
            put(function / name, kind, content)
        for name, (kind, content) in files.items():
            put(dlb.dev / name, kind, content)

        result = dlb.scan(**choices)

        assert healthy(result) == before
        assert not [problem for problem in result.problems if problem.subject == "dlb0"]
        assert all(problem.text.isprintable() for problem in result.problems)
        assert all(gauge.samples for gauge in measure(dlb.sysfs)[:1])

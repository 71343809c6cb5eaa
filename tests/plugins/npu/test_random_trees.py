"""Whatever a tree holds, a scan ends, and a healthy NPU stays what it is."""

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from handmade_npus import HandmadeNpus

Content = tuple[str, str | bytes]  # kind of entry, and what is in it

ATTRIBUTES = ["vendor", "device", "numa_node", "local_cpulist", "driver", "npu_busy_time_us", "slaves", "a\nb"]
texts = st.sampled_from([b"0x8086\n", b"0x643e\n", b"643E", b"0\n", b"-1\n", b""])
contents = st.one_of(
    st.tuples(st.just("file"), st.one_of(st.binary(max_size=80), texts)),
    st.tuples(st.just("file"), st.binary(min_size=1, max_size=3).map(lambda data: data * 10_000)),
    st.tuples(st.just("link"), st.sampled_from([".", "..", "vendor", "/", "/dev/zero", "gone", "intel_vpu", "driver"])),
    st.tuples(st.sampled_from(["directory", "pipe"]), st.just("")),
)


def put(path: Path, kind: str, content: str | bytes) -> None:
    """Make an entry in the place of what is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
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


@given(
    attributes=st.dictionaries(st.sampled_from(ATTRIBUTES), contents, max_size=4),
    entry=st.one_of(st.none(), contents),
    file=st.one_of(st.none(), contents),
)
def test_a_broken_npu_neither_stops_a_scan_nor_touches_its_neighbour(
    attributes: dict[str, Content], entry: Content | None, file: Content | None
) -> None:
    with tempfile.TemporaryDirectory() as root:
        npus = HandmadeNpus(Path(root).resolve())
        npus.add("accel0")
        plugin = npus.plugin(cdi=True, deny_ids=("0xffff",))
        before = plugin.scan().devices["accel"][0]
        function = npus.add("accel1")
        for name, (kind, content) in attributes.items():
            put(function / name, kind, content)
        for path, replaced in ((npus.accel / "accel1", entry), (npus.dev / "accel/accel1", file)):
            if replaced is not None:
                put(path, *replaced)

        result = plugin.scan()

        assert result.devices["accel"][0] == before
        assert not [problem for problem in result.problems if problem.subject == "accel0"]
        assert all(problem.text.isprintable() for problem in result.problems)
        assert plugin.measure()[0].samples

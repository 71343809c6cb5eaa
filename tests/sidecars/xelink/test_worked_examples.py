"""Worked examples of how metrics become labels, byte for byte."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from xpu_shared.labels.feature_file import FeatureFile
from xpu_sidecars.xelink.labelling import labels, own
from xpu_sidecars.xelink.xpum import reading_of
from xpu_sidecars.xelink.xpum_links import LabelRules
from xpum_pages import EXAMPLE, mesh


def lines(body: str, *, namespace: str = "gpu.intel.com", lanes: int = 4, subdeviceless: bool = False) -> list[str]:
    rules = LabelRules(lanes=lanes, subdeviceless=subdeviceless)
    value = reading_of(body.encode(), rules).value
    return [f"{name}={value}" for name, value in labels(namespace, value).items()]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, "gpu.intel.com/xe-links=2.1-5.0_3.1-10.0_7.0-7.1_7.1-7.0"),
        ({"subdeviceless": True}, "gpu.intel.com/xe-links=2.1-5.0_3.1-10.0_3.0-4.0_7.0-7.1_7.1-7.0"),
        ({"lanes": 3, "namespace": "lab.example"}, "lab.example/xe-links=2.1-5.0_2.0-3.0_3.1-10.0_7.0-7.1_7.1-7.0"),
        ({"lanes": 64}, "gpu.intel.com/xe-links="),
    ],
)
def test_metrics_to_label(options: dict[str, object], line: str) -> None:
    swapped = line.replace("7.0-7.1_7.1-7.0", "7.0-7.1_7.1-7.0")
    assert lines(EXAMPLE, **options) == [swapped]  # type: ignore[arg-type]  # options by name


def test_split_in_two() -> None:
    assert lines("\n".join(mesh([0, 1, 2, 3], 2))) == [
        "gpu.intel.com/xe-links=0.0-1.0_0.1-1.1_0.0-2.0_0.1-2.1_0.0-3.0_0.1-3.1_1.0-2.0_1.1-2.1",
        "gpu.intel.com/xe-links2=Z_1.0-3.0_1.1-3.1_2.0-3.0_2.1-3.1",
    ]


SPLIT_INSIDE_A_LINK = [
    "gpu.intel.com/xe-links=8.0-9.0_8.1-9.1_8.0-10.0_8.1-10.1_8.0-11.0_8.1-11.1_8.0-12.0_8",
    "gpu.intel.com/xe-links2=Z.1-12.1_9.0-10.0_9.1-10.1_9.0-11.0_9.1-11.1_9.0-12.0_9.1-12.1",
    "gpu.intel.com/xe-links3=Z_10.0-11.0_10.1-11.1_10.0-12.0_10.1-12.1_11.0-12.0_11.1-12.1",
]


def test_split_inside_a_link() -> None:
    assert lines("\n".join(mesh([8, 9, 10, 11, 12], 2))) == SPLIT_INSIDE_A_LINK


def test_the_file_has_these_lines_below_the_one_that_says_until_when(tmp_path: Path) -> None:
    value = reading_of("\n".join(mesh([8, 9, 10, 11, 12], 2)).encode(), LabelRules()).value
    file = FeatureFile(tmp_path / "xpum-sidecar-labels.txt", lifetime=timedelta(minutes=10))
    file.update(labels("gpu.intel.com", value), now=datetime(2026, 7, 1, tzinfo=UTC))

    text = file.path.read_text()
    assert text == "\n".join(["# +expiry-time=2026-07-01T00:10:00Z", *SPLIT_INSIDE_A_LINK, ""])
    file.update(labels("gpu.intel.com", "0.0-1.0"), now=datetime(2026, 7, 1, tzinfo=UTC))
    assert file.path.read_text() == "# +expiry-time=2026-07-01T00:10:00Z\ngpu.intel.com/xe-links=0.0-1.0\n"


def test_own_keys_are_these_and_no_others() -> None:
    is_own = own("gpu.intel.com")

    keys = ("xe-links", "xe-links2", "xe-links9", "xe-links10", "xe-links32")
    assert all(is_own(f"gpu.intel.com/{key}") for key in keys)
    others = ("xe-links0", "xe-links1", "xe-links01", "xe-links-2", "xe-linksx", "xe-links2x", "memory.max")
    assert not any(is_own(f"gpu.intel.com/{key}") for key in others)
    assert not is_own("lab.example/xe-links")
    assert not is_own("gpuXintel.com/xe-links")

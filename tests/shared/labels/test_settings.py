from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from xpu_shared.labels.settings import LabelSettings
from xpu_shared.program.flags import UsageError
from xpu_shared.program.settings import flag_name, load


@dataclass(frozen=True, kw_only=True)
class Settings(LabelSettings):
    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid", "alias_generator": flag_name}

    def __post_init__(self) -> None:
        self.check_labels()


def given(*arguments: str) -> Settings:
    return load(Settings, arguments, program="demo", description="").settings


def test_labels_go_to_a_feature_file_by_default() -> None:
    assert given().label_sinks == ("nfd",)
    assert given().features_dir == Path("/etc/kubernetes/node-feature-discovery/features.d")
    assert given().label_namespace == "gpu.intel.com"


def test_sinks_add_up_each_once_and_file_is_another_word_for_nfd() -> None:
    assert given("--label-sink=node", "-label-sink", "file", "--label-sink=nfd").label_sinks == ("node", "nfd")
    assert given("--label-sink=none").label_sinks == ()


def test_a_settings_file_has_a_sink_or_a_list_of_them(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("label-sink: [nfd, node]\nlabel-namespace: lab.example\n")
    (tmp_path / "one").write_text("label-sink: none\n")

    assert given(f"--config={tmp_path / 'list'}").label_sinks == ("nfd", "node")
    assert given(f"--config={tmp_path / 'list'}").label_namespace == "lab.example"
    assert given(f"--config={tmp_path / 'one'}").label_sinks == ()


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("--label-sink=api", "nfd (or file), node or none"),
        ("--label-namespace=Gpu.Intel.Com", "DNS name"),
        ("--label-namespace=", "DNS name"),
        ("--label-namespace=a b", "DNS name"),
        (f"--label-namespace={'a.' * 130}a", "DNS name"),
    ],
)
def test_a_bad_value_is_named(flag: str, expected: str) -> None:
    with pytest.raises(UsageError, match=flag.partition("=")[0]) as caught:
        given(flag)
    assert expected in str(caught.value)


def test_none_stands_alone() -> None:
    with pytest.raises(UsageError, match="--label-sink=none: cannot be given together with nfd"):
        given("--label-sink=none", "--label-sink=nfd")

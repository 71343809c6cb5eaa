import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.program.flags import HelpRequested, UsageError
from xpu_shared.program.options import Choice, Integer, ListenAddress
from xpu_shared.program.settings import KLOG_FLAGS, Loaded, PluginSettings, flag_name, load, options_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(PluginSettings):
    shared_dev_num: Annotated[int, Integer(help="shares", minimum=1, maximum=1024, group="Own")] = 1
    policy: Annotated[str, Choice(help="which", values=("none", "packed"), group="Own")] = "none"

    def __post_init__(self) -> None:
        if self.policy == "packed" and self.shared_dev_num == 1:
            raise ValueError("--policy=packed needs --shared-dev-num above 1")


def loaded(*arguments: str) -> Loaded[Settings]:
    return load(Settings, arguments, program="xpu-test", description="A test.", words={"discover": "look"})


def refusal(*arguments: str) -> str:
    with pytest.raises(UsageError) as raised:
        loaded(*arguments)
    text = str(raised.value)
    assert "\n" not in text
    return text


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "settings.yaml"


def test_defaults() -> None:
    assert loaded().settings == Settings()
    assert loaded().given == frozenset()
    assert (Settings().rescan_interval, Settings().lost_device_retention) == (60, 600)


def test_flags_and_words() -> None:
    result = loaded("--sysfs-root=/x", "discover", "-v", "4", "--metrics-address", ":9100", "-shared-dev-num=0x10")

    assert result.words == ("discover",)
    assert result.given == {"sysfs_root", "v", "metrics_address", "shared_dev_num"}
    assert result.settings.sysfs_root == Path("/x")
    assert result.settings.metrics_address == ListenAddress("", 9100)
    assert result.settings.shared_dev_num == 16


def test_a_file_sets_and_a_flag_wins(config: Path) -> None:
    config.write_text("shared-dev-num: 4\nrescan-interval: 2m\nv: 3\nlog-format: json\n")
    result = loaded("--config", str(config), "-v=1")

    assert (result.settings.shared_dev_num, result.settings.rescan_interval, result.settings.v) == (4, 120, 1)
    assert result.given == {"shared_dev_num", "rescan_interval", "v", "log_format"}


def test_an_empty_file_sets_nothing(config: Path) -> None:
    config.write_text("# nothing\n")
    assert loaded(f"--config={config}").settings == Settings()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("v: 1\nshard-dev-num: 4\n", ":2: unknown key 'shard-dev-num'; did you mean shared-dev-num?"),
        ("shared_dev_num: 4\n", ":1: unknown key 'shared_dev_num'; did you mean shared-dev-num?"),
        ("sharedDevNum: 4\n", ":1: unknown key 'sharedDevNum'; did you mean shared-dev-num?"),
        ("nope: 4\n", ":1: unknown key 'nope': expected one of cdi-dir, dev-root, "),
        ("v: 1\nshared-dev-num: 0\n", ":2: shared-dev-num: expected an integer from 1 to 1024, found 0"),
        ("shared-dev-num: true\n", ":1: shared-dev-num: expected an integer from 1 to 1024, found True"),
        ("rescan-interval: 60\n", ":1: rescan-interval: expected a duration such as"),
        ("policy: [packed]\n", ":1: policy: expected one of none, packed, found ['packed']"),
        ("v: 1\nv: 2\n", ":2: key 'v' is given twice"),
        ("- v\n", ":1: the document: "),
        ("v\n", ":1: the document: "),
        ("v: {", ":1: "),
    ],
)
def test_a_bad_file_is_named_with_line_key_value_and_what_is_allowed(config: Path, text: str, error: str) -> None:
    config.write_text(text)
    assert f"{config}{error}" in refusal(f"--config={config}")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refusal(f"--config={tmp_path}/absent") == f"{tmp_path}/absent: No such file or directory"
    assert "Is a directory" in refusal(f"--config={tmp_path}")


def test_a_conflict_between_options_is_one_line_wherever_they_come_from(config: Path) -> None:
    text = "--policy=packed needs --shared-dev-num above 1"
    assert refusal("--policy=packed") == text
    config.write_text("policy: packed\n")
    assert text in refusal(f"--config={config}")


def test_an_unknown_word_names_the_known_ones() -> None:
    assert refusal("disco") == "unexpected argument 'disco': expected discover"


def test_klogs_flags_are_accepted_and_checked() -> None:
    arguments = [
        "--logtostderr=false",
        "-vmodule=a=3",
        "--stderrthreshold",
        "2",
        "-log_dir=/x",
        "--log_file_max_size=5",
    ]
    assert loaded(*arguments).settings == Settings()
    assert "--logtostderr" in refusal("--logtostderr=maybe")


def test_help_names_every_flag_and_its_default() -> None:
    with pytest.raises(HelpRequested) as raised:
        loaded("--help")
    text = str(raised.value)

    for field in fields(Settings):
        assert f"-{flag_name(field.name)}" in text
    for name in KLOG_FLAGS:
        assert f"--{name}" in text
    assert "(default 10m)" in " ".join(text.split())
    assert "Accepted for compatibility, without effect:" in text
    assert all(len(line) <= 100 for line in text.splitlines())


texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["0", "1", "60s", "1m", "true", "json", "legacy", ":80", "/x", "010", "0x5", "1_0", "10m", "-1", "1e3"]
    ),
    st.integers(-5, 2000).map(str),
)


@given(st.sampled_from(sorted(options_of(Settings))), texts)
def test_flags_and_yaml_give_the_same_answer_for_the_same_text(
    tmp_path_factory: pytest.TempPathFactory, name: str, text: str
) -> None:
    config = tmp_path_factory.mktemp("config") / "settings.yaml"
    escaped = "".join(f"\\U{ord(character):08x}" for character in text)
    config.write_text(f'{flag_name(name)}: "{escaped}"\n')

    def answer(argument: str) -> object:
        try:
            return getattr(loaded(argument).settings, name)
        except UsageError:
            return UsageError

    assert answer(f"--{flag_name(name)}={text}") == answer(f"--config={config}")


def test_reading_flags_imports_no_library_that_only_files_or_metrics_need() -> None:
    code = (
        "import sys, xpu_shared.program.settings, xpu_shared.program.logs;"
        "unwanted = {'pydantic', 'yaml', 'prometheus_client', 'http.server', 'difflib', 'argparse'};"
        "print(sorted(unwanted & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"

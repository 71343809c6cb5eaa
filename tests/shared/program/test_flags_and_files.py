"""Flags and YAML files as two ways to say the same, through real files and `load`."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.program import yaml_file
from xpu_shared.program.flags import HelpRequested, UsageError
from xpu_shared.program.options import Boolean, Integer, Text
from xpu_shared.program.settings import KLOG_FLAGS, PluginSettings, flag_name, load, options_of


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryKind(PluginSettings):
    """What all plugins have, and the kinds of option that are not among it."""

    enable: Annotated[bool, Boolean(help="a boolean")] = False
    count: Annotated[int, Integer(help="a number")] = 0
    label: Annotated[str, Text(help="a text")] = ""
    low: Annotated[int, Integer(help="below high")] = 0
    high: Annotated[int, Integer(help="above low")] = 100

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"--low={self.low} and --high={self.high}: the low one is above the high one")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named(PluginSettings):
    """One option without a default."""

    node: Annotated[str, Text(help="the node's name", longest=63)]


NAMES = sorted(options_of(EveryKind))
FLAGS = [flag_name(name) for name in NAMES] + list(KLOG_FLAGS)
ODD = ["0", "1", "-1", "00", "0x10", "010", "1_0", "1__0", "1:30", "1e3", "1.0", ".5", "t", "F", "true", "TRUE", "tRUE"]
ODD += [
    "yes",
    "no",
    "On",
    "off",
    "null",
    "~",
    "json",
    "both",
    "60s",
    "1m30s",
    "2h",
    ":80",
    "1.2.3.4:5",
    "/x",
    "x y",
    "=",
]
texts = st.sampled_from(ODD) | st.integers(-5, 2000).map(str) | st.text(max_size=12)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings") / "settings.yaml"


def answer(*arguments: str) -> EveryKind | str:
    """The settings, or why there are none."""
    try:
        return load(EveryKind, arguments, program="test", description="A test.", words={"discover": "look"}).settings
    except UsageError as error:
        refusal = str(error)
    assert len(refusal.splitlines()) == 1
    return refusal


@given(name=st.sampled_from(NAMES), text=texts)
def test_the_same_text_has_the_same_answer(config: Path, name: str, text: str) -> None:
    flag = flag_name(name)
    config.write_text(yaml.safe_dump({flag: text}, default_style='"', allow_unicode=True))

    by_flag, by_file = answer(f"--{flag}={text}"), answer(f"--config={config}")

    if isinstance(by_flag, str):
        assert isinstance(by_file, str)
        assert by_file.removeprefix(f"{config}:1: {flag}: ") == by_flag.removeprefix(f"flag -{flag}: ").removeprefix(
            f"flag --{flag}: "
        )
    else:
        assert by_file == by_flag


@given(name=st.sampled_from(NAMES), text=st.sampled_from(ODD) | st.integers(-5, 2000).map(str))
def test_what_a_file_takes_without_quotes_is_what_the_flag_takes(config: Path, name: str, text: str) -> None:
    flag = flag_name(name)
    config.write_text(f"{flag}: {text}\n")
    value = yaml_file.read(config).value[flag]  # a boolean or number may be spelled in more ways, as 00 for 0

    by_file = answer(f"--config={config}")

    assert isinstance(by_file, str) or by_file == answer(f"--{flag}={value}")


@pytest.mark.parametrize("text", ["yes", "no", "on", "off", "Yes", "ON"])
def test_yaml_s_other_booleans_are_refused_as_a_flag_s_are(config: Path, text: str) -> None:
    config.write_text(f"enable: {text}\n")

    assert answer(f"--config={config}") == f"{config}:1: enable: expected true or false, found '{text}'"


arguments = st.lists(
    st.sampled_from(
        ["-", "--", "---", "--=", "-=x", "--v", "-v=3", "--config", "--config=", "=", "-config=absent", "x"]
    )
    | st.builds("{}{}{}".format, st.sampled_from(["-", "--"]), st.sampled_from(FLAGS), st.just("=") | st.just(""))
    | st.builds("--{}={}".format, st.sampled_from(FLAGS), texts)
    | texts
    | st.text(alphabet=st.characters(), max_size=5),  # with halves of surrogate pairs, as undecodable bytes become
    max_size=8,
)


@given(arguments)
def test_any_command_line_gives_settings_help_or_one_line(arguments: list[str]) -> None:
    with suppress(HelpRequested):
        result = answer(*arguments)
        assert isinstance(result, EveryKind) or len(result) < 1000


@given(
    st.binary(max_size=80)
    | st.text(alphabet="abv: \n-[]{}#&*!|>'\"%@,?<0123.=~\\xu", max_size=60).map(str.encode)
    | st.builds("{}: {}".format, st.sampled_from(FLAGS), texts).map(lambda text: text.encode(errors="surrogatepass"))
)
def test_any_file_gives_settings_or_one_line_that_names_it(config: Path, data: bytes) -> None:
    config.write_bytes(data)
    refusal = answer(f"--config={config}")
    assert isinstance(refusal, EveryKind) or refusal.startswith((f"{config}:", "--low="))


def test_a_flag_settles_a_conflict_in_the_file(config: Path) -> None:
    config.write_text("low: 200\n")
    assert answer(f"--config={config}") == "--low=200 and --high=100: the low one is above the high one"

    settings = answer(f"--config={config}", "--high=300")
    assert isinstance(settings, EveryKind)
    assert (settings.low, settings.high) == (200, 300)


def test_an_option_without_a_default_is_asked_for(config: Path) -> None:
    def node(*arguments: str) -> str:
        return load(Named, arguments, program="test", description="").settings.node

    config.write_text("v: 2\n")
    for given_arguments in ([], [f"--config={config}"]):
        with pytest.raises(UsageError) as raised:
            node(*given_arguments)
        assert str(raised.value) == "flag --node is needed: expected a text of at most 63 characters"

    assert node(f"--config={config}", "--node=n1") == "n1"
    config.write_text("node: n2\n")
    assert node(f"--config={config}") == "n2"


def test_help_shows_an_option_without_a_default() -> None:
    with pytest.raises(HelpRequested, match=r"--node text +the node's name\n"):
        load(Named, ["-h"], program="test", description="")


def test_help_shows_what_can_be_chosen() -> None:
    with pytest.raises(HelpRequested, match=r"--log-format text\|json +how log lines look \(default text\)"):
        load(PluginSettings, ["-h"], program="test", description="")


def test_klog_s_flags_are_no_keys_of_files(config: Path) -> None:
    config.write_text("logtostderr: true\n")
    assert str(answer(f"--config={config}")).startswith(f"{config}:1: unknown key 'logtostderr': expected one of ")


def test_a_file_cannot_name_another_file(config: Path) -> None:
    config.write_text(f"config: {config}\n")
    assert str(answer(f"--config={config}")).startswith(f"{config}:1: unknown key 'config': expected one of ")


def test_a_field_without_an_option_is_a_mistake_of_the_program(tmp_path: Path) -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Mistaken(PluginSettings):
        count: int = 0

    with pytest.raises(TypeError, match=r"^Mistaken\.count: expected Annotated with one kind of option$"):
        load(Mistaken, [], program="test", description="")


def test_a_file_s_name_with_a_line_break_stays_on_one_line(tmp_path: Path) -> None:
    refusal = answer(f"--config={tmp_path}/no\nsuch")
    assert refusal == f"'{tmp_path}/no\\nsuch': No such file or directory"

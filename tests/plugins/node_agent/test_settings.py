"""What an administrator may choose, for all families and for each."""

import re
from pathlib import Path

import pytest

from xpu_plugins.dlb.settings import DlbSettings
from xpu_plugins.gpu.settings import GpuSettings
from xpu_plugins.node_agent.families import FAMILIES, program
from xpu_plugins.node_agent.settings import LoadedAgent, load
from xpu_shared.program.flags import HelpRequested, UsageError
from xpu_shared.program.settings import load as load_program


def loaded(*arguments: str) -> LoadedAgent:
    return load(arguments, words={"discover": "print"})


def from_file(directory: Path, text: str, *arguments: str) -> LoadedAgent:
    (directory / "agent.yaml").write_text(text)
    return loaded(f"--config={directory}/agent.yaml", *arguments)


def test_by_default_it_runs_every_family_as_its_own_program_would() -> None:
    agent = loaded()
    assert tuple(agent.families) == tuple(FAMILIES)
    for family, settings in agent.families.items():
        chosen = program(family)
        alone = load_program(chosen.settings_type, [], program=chosen.name, description="")
        assert settings == chosen.settings(alone)


def test_families_are_chosen_by_flag_or_file_and_the_flag_wins(tmp_path: Path) -> None:
    assert tuple(loaded("--families=gpu,sgx").families) == ("gpu", "sgx")
    assert tuple(loaded("-families", " dlb , gpu, dlb").families) == ("dlb", "gpu")
    assert tuple(from_file(tmp_path, "families: [npu, gpu]").families) == ("npu", "gpu")
    assert tuple(from_file(tmp_path, "families: npu,gpu").families) == ("npu", "gpu")
    assert tuple(from_file(tmp_path, "families: [npu]", "--families=auto").families) == tuple(FAMILIES)


def test_a_section_is_for_its_family_and_the_top_for_all(tmp_path: Path) -> None:
    text = """
        sysfs-root: /elsewhere/sys
        rescan-interval: 2m
        v: 3
        families: [gpu, dlb]
        gpu:
          shared-dev-num: 4
          allow-ids: ["0x56c0"]
        dlb: {inject-env: true}
    """

    families = from_file(tmp_path, text, "--dev-root=/elsewhere/dev", "-v=1").families

    gpu, dlb = families["gpu"], families["dlb"]
    assert isinstance(gpu, GpuSettings)
    assert isinstance(dlb, DlbSettings)
    assert (gpu.shared_dev_num, gpu.allow_ids, dlb.inject_env) == (4, ("0x56c0",), True)
    for settings in families.values():
        assert (settings.sysfs_root, settings.dev_root) == (Path("/elsewhere/sys"), Path("/elsewhere/dev"))
        assert (settings.rescan_interval, settings.v) == (120.0, 1)


def test_a_prefix_in_a_section_moves_only_its_familys_roots(tmp_path: Path) -> None:
    families = from_file(tmp_path, "dev-root: /d\ngpu: {prefix: /p}").families

    assert (families["gpu"].sysfs_root, families["gpu"].dev_root) == (Path("/p/sys"), Path("/d"))
    assert families["npu"].sysfs_root == Path("/sys")


def test_a_section_may_be_empty_and_one_that_is_not_run_is_named(tmp_path: Path) -> None:
    agent = from_file(tmp_path, "families: [gpu]\ngpu:\ndlb: {inject-env: true}\n")
    assert tuple(agent.families) == ("gpu",)
    assert agent.unused == ["dlb"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("fpga: {}", ":1: unknown key 'fpga'"),
        ("npus: {}", ":1: unknown key 'npus'; did you mean npu?"),
        ("rescan-intervall: 2m", ":1: unknown key 'rescan-intervall'; did you mean rescan-interval?"),
        ("nope: 1", ":1: unknown key 'nope': expected one of cdi-dir, dev-root, device-list, dlb, dsa, "),
        ("v: 1\ncdi: true", ":2: cdi: expected it in the section of a family: npu"),
        ("shared-dev-num: 2", ":1: shared-dev-num: expected it in the section of a family: gpu, dsa, iaa, npu"),
        (
            "families: [gpu, fpga]",
            ":1: families: expected auto, or some of gpu,dsa,iaa,dlb,sgx,npu separated by commas, "
            "found ['gpu', 'fpga']",
        ),
        ("families: []", ":1: families: expected auto, or some of gpu,"),
        ("families: {gpu: true}", ":1: families: expected auto, or some of gpu,"),
        ("families: [auto, gpu]", ":1: families: expected auto, or some of gpu,"),
        ("v: -1", ":1: v: expected an integer from 0 to 2147483647, found -1"),
        ("gpu: 4", ":1: gpu: expected a map of its settings, found 4"),
        ("gpu: []", ":1: gpu: expected a map of its settings, found []"),
        ("gpu:\n  shared-dev-num: 0", ":2: gpu.shared-dev-num: expected an integer from 1 to 1024, found 0"),
        ("v: 1\ndsa:\n  shared-dev-num: 0", ":3: dsa.shared-dev-num: expected an integer from 1 to 100000, found 0"),
        ("gpu:\n  shared-dev-nun: 4", ":2: unknown key 'gpu.shared-dev-nun'; did you mean shared-dev-num?"),
        ("gpu:\n  classify: sriov", ":2: unknown key 'gpu.classify': expected one of allocation-policy, "),
        ("iaa:\n  driver: idxd", ":2: unknown key 'iaa.driver': expected one of advertise-kernel-wqs, inject-env, "),
        ("gpu:\n  v: 2", ":2: gpu.v: it holds for all families, expected it at the top of the file"),
        ("gpu:\n  families: [gpu]", ":2: gpu.families: it holds for all families"),
        ("families: [gpu]\nnpu:\n  cdi: maybe", ":3: npu.cdi: expected true or false, found 'maybe'"),
        (
            "gpu:\n  allow-ids: ['0x56c0']\n  deny-ids: ['0x56c1']",
            ":1: gpu: --allow-ids=0x56c0 and --deny-ids=0x56c1: only one of the two lists",
        ),
        ("gpu: {v: 2", ":1: "),
    ],
)
def test_a_bad_setting_is_one_line_with_file_line_section_key_value_and_what_is_allowed(
    tmp_path: Path, text: str, error: str
) -> None:
    with pytest.raises(UsageError) as caught:
        from_file(tmp_path, text)

    assert str(caught.value).startswith(f"{tmp_path}/agent.yaml{error}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("flag", "error"),
    [
        ("--families=fpga", "flag --families: expected auto, or some of gpu,"),
        ("--families=", "flag --families: expected auto, or some of gpu,"),
        ("--families=gpu,,dlb", "flag --families: expected auto, or some of gpu,"),
        (
            "--shared-dev-num=4",
            "unknown flag '--shared-dev-num=4'; shared-dev-num stands in a section of --config's file: gpu, dsa, iaa, "
            "npu$",
        ),
        ("-familys=gpu", "unknown flag '-familys=gpu'; did you mean --families\\?$"),
        ("discovery", "unexpected argument 'discovery': expected discover"),
    ],
)
def test_a_bad_flag_is_one_line(flag: str, error: str) -> None:
    with pytest.raises(UsageError, match=f"^{error}"):
        loaded(flag)


def test_the_help_has_the_flags_in_groups_and_the_keys_of_every_section() -> None:
    with pytest.raises(HelpRequested) as caught:
        loaded("--help")
    text = str(caught.value)
    for group in ("Where things are", "How the plugin works", "Logs and metrics", "Which families"):
        assert f"\n{group}:\n" in text
    for family in FAMILIES:
        assert f"\nIn the file, below {family}:\n" in text
    assert "  shared-dev-num: integer " in text
    assert "--shared-dev-num" not in text


class TestThePageForOperators:
    page = (Path(__file__).parents[3] / "docs/node-agent.md").read_text()

    def test_its_example_can_be_used(self, tmp_path: Path) -> None:
        (example,) = re.findall(r"```yaml\n(.*?)```", self.page, re.DOTALL)
        assert tuple(from_file(tmp_path, example).families) == ("gpu", "dsa", "sgx")

    @pytest.mark.parametrize("family", FAMILIES)
    def test_it_leads_to_the_page_of_every_section(self, family: str) -> None:
        (row,) = re.findall(rf"^\| .*`{family}`.* \| \[.*\.md\]\((.*)\) \|$", self.page, re.MULTILINE)
        assert row

    def test_its_list_of_families_is_the_table(self) -> None:
        names = ", ".join(f"`{family}`" for family in FAMILIES)
        assert f"some of {names} separated by commas" in self.page

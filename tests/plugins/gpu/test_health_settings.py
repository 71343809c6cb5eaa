"""What an administrator may choose about health, and what excludes each other."""

from pathlib import Path

import pytest

from xpu_plugins.gpu.health_settings import SIDECARS
from xpu_plugins.gpu.judged import JudgedGpuPlugin
from xpu_plugins.gpu.plugin import GpuPlugin
from xpu_plugins.gpu.program import PROGRAM
from xpu_plugins.gpu.settings import GpuSettings, completed
from xpu_plugins.gpu.wsl_plugin import WslPlugin
from xpu_shared.program.flags import UsageError

XPUMD = "/run/xpumd/intelxpuinfo.sock"
IPC = "ipc:///run/xpu/a.sock"
NO_ENDPOINTS = (
    *("", "/run/xpu/a.sock", "ipc://", "ipc://a.sock", "ipc:///" + "x" * 107, "ipc:///a\nb"),
    *("tcp://", "tcp://h", "tcp://:5556", "tcp://h:0", "tcp://h:99999", "udp://h:1", "inproc://x"),
)


def chosen(*arguments: str) -> GpuSettings:
    return completed(PROGRAM.load(arguments))


def from_file(path: Path, text: str, *arguments: str) -> GpuSettings:
    (path / "settings.yaml").write_text(text)
    return chosen(f"--config={path}/settings.yaml", *arguments)


def limits(settings: GpuSettings) -> tuple[int, int, int]:
    return (settings.temp_limit, settings.gpu_temp_limit, settings.memory_temp_limit)


def test_the_defaults() -> None:
    settings = chosen()

    assert limits(settings) == (100, 100, 100)
    assert (settings.temp_hysteresis, settings.health_leave_dwell, settings.health_stale) == (5, 30.0, "keep")
    assert (settings.ras_uncorrectable_limit, settings.inject_env) == (0, True)
    assert (settings.health_management, settings.xpumd_endpoint, settings.wsl, settings.endpoints) == (
        False,
        None,
        False,
        (),
    )


class TestTemperatureLimits:
    def test_one_alone_sets_the_others_too(self) -> None:
        assert limits(chosen("-health-management", "-temp-limit=90")) == (90, 90, 90)

    @pytest.mark.parametrize(
        ("flags", "expected"),
        [
            (("-temp-limit=90", "-gpu-temp-limit=95"), (90, 95, 100)),
            (("-temp-limit=90", "-memory-temp-limit=80"), (90, 100, 80)),
            (("-gpu-temp-limit=95",), (100, 95, 100)),
            (("-temp-limit=90", "-gpu-temp-limit=91", "-memory-temp-limit=92"), (90, 91, 92)),
        ],
    )
    def test_with_another_each_is_its_own(self, flags: tuple[str, ...], expected: tuple[int, int, int]) -> None:
        assert limits(chosen("-health-management", *flags)) == expected

    def test_so_in_a_file(self, tmp_path: Path) -> None:
        assert limits(from_file(tmp_path, "health-management: true\ntemp-limit: 90")) == (90, 90, 90)
        assert limits(from_file(tmp_path, "gpu-temp-limit: 95", "-temp-limit=90")) == (90, 95, 100)


class TestSources:
    def test_health_management_listens_where_sidecars_publish_by_default(self) -> None:
        assert chosen("-health-management").endpoints == SIDECARS
        assert SIDECARS == ("ipc:///run/xpu/level-zero.sock", "ipc:///var/lib/levelzero/level-zero.sock")

    def test_telemetry_may_be_given_several_times_and_turns_health_on(self) -> None:
        settings = chosen("--telemetry", IPC, f"--telemetry={IPC}2", f"--telemetry={IPC}")

        assert settings.endpoints == (IPC, f"{IPC}2")
        assert settings.health_management

    def test_telemetry_without_health_is_possible(self) -> None:
        settings = chosen(f"--telemetry={IPC}", "-health-management=false")

        assert not settings.health_management
        assert settings.endpoints == (IPC,)

    def test_so_in_a_file(self, tmp_path: Path) -> None:
        assert from_file(tmp_path, f'telemetry: "{IPC}"').endpoints == (IPC,)
        assert from_file(tmp_path, f'telemetry: ["{IPC}", "ipc:///b"]').endpoints == (
            IPC,
            "ipc:///b",
        )
        assert from_file(tmp_path, f'telemetry: ["{IPC}"]', f"--telemetry={IPC}2").endpoints == (f"{IPC}2",)
        with pytest.raises(UsageError, match="expected ipc://"):
            from_file(tmp_path, "telemetry: [1]")

    def test_telemetry_beside_xpumd_is_no_second_source_of_health(self) -> None:
        settings = chosen(f"--telemetry={IPC}", f"-xpumd-endpoint={XPUMD}")

        assert not settings.health_management
        assert settings.xpumd_endpoint == Path(XPUMD)

    @pytest.mark.parametrize("endpoint", NO_ENDPOINTS)
    def test_an_endpoint_that_cannot_be_is_named(self, endpoint: str) -> None:
        with pytest.raises(UsageError, match=r"flag --telemetry: expected ipc:// .* or tcp:// .*, found") as caught:
            chosen(f"--telemetry={endpoint}")
        assert "\n" not in str(caught.value)

    def test_an_empty_xpumd_endpoint_is_none(self) -> None:
        assert chosen("-xpumd-endpoint=").xpumd_endpoint is None
        with pytest.raises(UsageError, match="at most 107 bytes"):
            chosen("-xpumd-endpoint=/" + "x" * 107)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("-wsl", "-enable-monitoring"), "--wsl and --enable-monitoring: there is no monitoring within WSL"),
        (("-wsl", "-health-management"), "--wsl and --health-management: there is no health within WSL"),
        (("-wsl", f"-xpumd-endpoint={XPUMD}"), f"--wsl and --xpumd-endpoint={XPUMD}: there is no health within WSL"),
        (
            ("-health-management", f"-xpumd-endpoint={XPUMD}"),
            f"--health-management and --xpumd-endpoint={XPUMD}: only one source of health can be given",
        ),
        *(
            (
                (f"-xpumd-endpoint={XPUMD}", f"-{name}=99"),
                f"--{name}=99 and --xpumd-endpoint={XPUMD}: xpumd has limits of its own",
            )
            for name in ("temp-limit", "gpu-temp-limit", "memory-temp-limit")
        ),
        (("-temp-limit=hot",), "flag --temp-limit: expected an integer from 0 to 1000, found 'hot'"),
        (("-temp-limit=-1",), "flag --temp-limit: expected an integer from 0 to 1000, found '-1'"),
        (("--temp-hysteresis=-5",), "flag --temp-hysteresis: expected an integer from 0 to 1000, found '-5'"),
        (("--health-stale=maybe",), "flag --health-stale: expected one of keep, unhealthy, found 'maybe'"),
        (("--xpumd-tolerate=a,,b",), "flag --xpumd-tolerate: expected words separated by commas, found 'a,,b'"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_2(
    flags: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert PROGRAM.main(list(flags)) == 2
    assert capsys.readouterr().err == f"xpu-gpu-plugin: {message}\n"


def test_limits_of_100_are_no_contradiction_to_xpumd() -> None:
    assert limits(chosen(f"-xpumd-endpoint={XPUMD}", "-temp-limit=100")) == (100, 100, 100)


def test_words_are_separated_by_commas_and_perhaps_spaces(tmp_path: Path) -> None:
    assert chosen().xpumd_tolerate == ("throttled", "ecc_enabled")
    assert chosen("--xpumd-tolerate=").xpumd_tolerate == ()
    assert chosen("--xpumd-tolerate=a, b").xpumd_tolerate == ("a", "b")
    assert from_file(tmp_path, "xpumd-tolerate: [a, b]").xpumd_tolerate == ("a", "b")


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        ((), GpuPlugin),
        (("-temp-limit=90",), GpuPlugin),
        (("-health-management",), JudgedGpuPlugin),
        ((f"--telemetry={IPC}", "-health-management=false"), JudgedGpuPlugin),
        ((f"-xpumd-endpoint={XPUMD}",), JudgedGpuPlugin),
        (("-wsl",), WslPlugin),
    ],
)
def test_a_plugin_has_what_its_settings_need(flags: tuple[str, ...], kind: type) -> None:
    assert type(PROGRAM.plugin(chosen(*flags))) is kind

"""Settings of a program: one frozen dataclass, filled from defaults, a YAML file and flags, in this order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, TypeVar, get_type_hints

from xpu_shared.program.flags import HelpRequested, UsageError, parse, shown
from xpu_shared.program.options import (
    Address,
    Boolean,
    Choice,
    Duration,
    FilePath,
    InstanceName,
    Integer,
    ListenAddress,
    Option,
    Text,
)

PATHS = "Where things are"
WORK = "How the plugin works"
OBSERVATION = "Logs and metrics"
KLOG = "Accepted for compatibility, without effect"


def flag_name(field_name: str) -> str:
    return field_name.replace("_", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSettings:
    """What every plugin can be told. A plugin's own settings inherit from it and add fields."""

    # Read by pydantic when a YAML file is given; its keys are the flags' names.
    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid", "alias_generator": flag_name}

    sysfs_root: Annotated[Path, FilePath(group=PATHS, help="where sysfs is mounted")] = Path("/sys")
    dev_root: Annotated[Path, FilePath(group=PATHS, help="where device files are looked for")] = Path("/dev")
    host_dev_root: Annotated[
        Path, FilePath(group=PATHS, help="the same directory as the container runtime sees it")
    ] = Path("/dev")
    kubelet_dir: Annotated[Path, FilePath(group=PATHS, help="the kubelet's directory; device-plugins is below it")] = (
        Path("/var/lib/kubelet")
    )
    cdi_dir: Annotated[Path, FilePath(group=PATHS, help="where CDI files are written")] = Path("/var/run/cdi")
    registration: Annotated[
        str,
        Choice(
            group=WORK,
            values=("legacy", "registry", "both"),
            help="how the kubelet is told: legacy calls it, registry leaves it a socket in plugins_registry",
        ),
    ] = "legacy"
    instance: Annotated[
        str,
        InstanceName(
            group=WORK,
            help="part of the sockets' names, so that two instances can run at once (kubelet 1.37 or newer)",
        ),
    ] = ""
    uevent_socket: Annotated[
        Path | None,
        FilePath(group=PATHS, help="also take kernel events from this unix datagram socket, one event a datagram"),
    ] = None
    rescan_interval: Annotated[
        float,
        Duration(group=WORK, minimum=1.0, maximum=86400.0, help="scan at least this often; events cause scans at once"),
    ] = 60.0
    lost_device_retention: Annotated[
        float, Duration(group=WORK, help="how long a device that vanished stays listed as Unhealthy")
    ] = 600.0
    metrics_address: Annotated[
        ListenAddress | None,
        Address(group=OBSERVATION, help="serve /metrics, /healthz and /readyz there, e.g. :9100; off by default"),
    ] = None
    log_format: Annotated[str, Choice(group=OBSERVATION, values=("text", "json"), help="how log lines look")] = "text"
    v: Annotated[int, Integer(group=OBSERVATION, minimum=0, maximum=10, help="log verbosity, as klog's -v")] = 0

    @property
    def socket_directories(self) -> tuple[Path, ...]:
        """The kubelet's directories that sockets of ours are put in."""
        legacy, registry = self.kubelet_dir / "device-plugins", self.kubelet_dir / "plugins_registry"
        return {"legacy": (legacy,), "registry": (registry,), "both": (legacy, registry)}[self.registration]


# Flags of klog, the log library of the programs that ours replace. Logs of ours go to stderr, whatever they say.
KLOG_FLAGS: Mapping[str, Option[Any]] = {
    "vmodule": Text(group=KLOG, help="verbosity by file"),
    "logtostderr": Boolean(group=KLOG, help="logs always go to stderr"),
    "alsologtostderr": Boolean(group=KLOG, help="logs always go to stderr"),
    "stderrthreshold": Text(group=KLOG, help="logs always go to stderr"),
    "log_dir": Text(group=KLOG, help="log files are not written"),
    "log_file": Text(group=KLOG, help="log files are not written"),
    "log_file_max_size": Integer(group=KLOG, minimum=0, help="log files are not written"),
    "one_output": Boolean(group=KLOG, help="log files are not written"),
    "add_dir_header": Boolean(group=KLOG, help="log lines always name file and line"),
    "skip_headers": Boolean(group=KLOG, help="log lines always have a header"),
    "skip_log_headers": Boolean(group=KLOG, help="log files are not written"),
    "log_backtrace_at": Text(group=KLOG, help="no backtraces are logged"),
}
CONFIG = FilePath(group=PATHS, help="a YAML file with settings; its keys are the flags' names, and flags win over it")

S = TypeVar("S", bound=PluginSettings)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[S]):
    settings: S
    given: frozenset[str]  # field names that a flag or the file set
    words: tuple[str, ...]


def load(
    settings_type: type[S],
    arguments: Sequence[str],
    *,
    program: str,
    description: str,
    words: Mapping[str, str] | None = None,
) -> Loaded[S]:
    """Settings from a command line.

    Args:
        words: what may stand beside flags, such as a subcommand, with its help.
    Raises:
        UsageError: a flag, a word or the file cannot be used.
        HelpRequested: help was asked for; its text is the exception's.
    """
    words = words or {}
    options = options_of(settings_type)
    by_flag = {option.name or flag_name(name): option for name, option in options.items()}
    try:
        parsed = parse(arguments, {**by_flag, **KLOG_FLAGS, "config": CONFIG})
    except HelpRequested:
        from xpu_shared.program.help import help_text  # noqa: PLC0415 - only help needs it

        raise HelpRequested(help_text(settings_type, program=program, description=description, words=words)) from None
    for word in parsed.words:
        if word not in words:
            expected = f"expected {' or '.join(words)}" if words else "only flags are expected"
            raise UsageError(f"unexpected argument {shown(word)}: {expected}")
    values: dict[str, object] = {}
    if "config" in parsed.values:
        values = _from_file(settings_type, parsed.values["config"])
    for name, option in options.items():
        flag = option.name or flag_name(name)
        if flag in parsed.values:
            values[name] = parsed.values[flag]
    try:
        settings = settings_type(**values)  # type: ignore[arg-type]  # checked by their options
    except ValueError as error:
        raise UsageError(str(error)) from None
    return Loaded(settings=settings, given=frozenset(values), words=tuple(parsed.words))


def options_of(settings_type: type[PluginSettings]) -> dict[str, Option[Any]]:
    """The option of each field, by field name, in the order of declaration."""
    hints = get_type_hints(settings_type, include_extras=True)
    return {
        field.name: next(extra for extra in hints[field.name].__metadata__ if isinstance(extra, Option))
        for field in fields(settings_type)
    }


def _from_file(settings_type: type[S], path: Path) -> dict[str, object]:
    """The values that a YAML file sets, by field name."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - 11 MiB that only --config pays

    from xpu_shared.program.yaml_file import YamlError, describe, read  # noqa: PLC0415 - as above

    try:
        document = read(path)
    except YamlError as error:
        raise UsageError(str(error)) from None
    given = document.value if document.value is not None else {}
    try:
        settings = TypeAdapter(settings_type).validate_python(given)
    except ValidationError as error:
        raise UsageError(describe(error, document)) from None
    names = {flag_name(field.name): field.name for field in fields(settings_type)}
    return {names[key]: getattr(settings, names[key]) for key in given}

"""Settings of a program: one frozen dataclass, filled from defaults, a YAML file and flags, in this order.

A field is a flag and a YAML key; the option in its `Annotated` says what it may be. Flags are checked without pydantic,
which only a YAML file needs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar, get_type_hints

from xpu_shared.program.flags import HelpRequested, Parsed, UsageError, dashed, exit_code, parse, shown
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

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from xpu_shared.program.yaml_file import Document

PATHS = "Where things are"
WORK = "How the plugin works"
OBSERVATION = "Logs and metrics"
DISCOVER = "For discover"
KLOG = "Accepted for compatibility, without effect"


def flag_name(field_name: str) -> str:
    return field_name.replace("_", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSettings:
    """What every plugin can be told."""

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
    device_list: Annotated[
        str,
        Choice(
            group=WORK,
            values=("nodes", "cdi", "both"),
            help="how the runtime is told of devices with CDI files: by device files, by CDI names, or both",
        ),
    ] = "both"
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
    events: Annotated[
        bool,
        Boolean(
            group=OBSERVATION,
            help="write an Event on node $NODE_NAME when devices leave service or return; needs a service account",
        ),
    ] = False
    log_format: Annotated[str, Choice(group=OBSERVATION, values=("text", "json"), help="how log lines look")] = "text"
    v: Annotated[int, Integer(group=OBSERVATION, minimum=0, maximum=2**31 - 1, help="log verbosity, as klog's -v")] = 0

    @property
    def socket_directories(self) -> tuple[Path, ...]:
        """The kubelet's directories that sockets of ours are put in."""
        legacy, registry = self.kubelet_dir / "device-plugins", self.kubelet_dir / "plugins_registry"
        return {"legacy": (legacy,), "registry": (registry,), "both": (legacy, registry)}[self.registration]


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilySettings(PluginSettings):
    """What every program of one family can be told. A family's own settings inherit from it and add fields."""

    output: Annotated[str, Choice(group=DISCOVER, values=("table", "json"), help="print a table or json")] = "table"


# Flags of klog, the log library of the programs that ours replace. Logs of ours go to stderr, whatever they say.
# They are no fields, because nothing reads them, and no YAML keys, because no file has ever had them.
KLOG_FLAGS: Mapping[str, Option[Any]] = {
    "vmodule": Text(group=KLOG, help="verbosity by file"),
    "logtostderr": Boolean(group=KLOG, help="logs always go to stderr"),
    "alsologtostderr": Boolean(group=KLOG, help="logs always go to stderr"),
    "stderrthreshold": Text(group=KLOG, help="logs always go to stderr"),
    "log_dir": Text(group=KLOG, help="log files are not written"),
    "log_file": Text(group=KLOG, help="log files are not written"),
    "log_file_max_size": Integer(group=KLOG, minimum=0, maximum=2**64 - 1, help="log files are not written"),
    "one_output": Boolean(group=KLOG, help="log files are not written"),
    "add_dir_header": Boolean(group=KLOG, help="log lines always name file and line"),
    "skip_headers": Boolean(group=KLOG, help="log lines always have a header"),
    "skip_log_headers": Boolean(group=KLOG, help="log files are not written"),
    "log_backtrace_at": Text(group=KLOG, help="no backtraces are logged"),
}
CONFIG = FilePath(group=PATHS, help="a YAML file with settings; its keys are the flags' names, and flags win over it")

S = TypeVar("S", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class Given:
    """What a command line and its file say, not yet checked as a whole."""

    parsed: Parsed
    document: "Document | None"
    section: tuple[str, ...] = ()  # of the file, for settings whose keys stand below another one

    def key(self, name: str) -> str:
        """A setting's name in the file, with its section."""
        return ".".join((*self.section, name))


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
    settings_file: bool = True,
) -> Loaded[S]:
    """Settings from a command line, and from the file that its `--config` names.

    Args:
        settings_type: a frozen dataclass whose fields all have an option.
        words: what may stand beside flags, such as a subcommand, with its help.
        settings_file: whether there is one, and klog's flags; otherwise there are no flags but the fields.
    Raises:
        UsageError: a flag, a word or the file cannot be used.
        HelpRequested: help was asked for; its text is the exception's.
    """
    try:
        given = gather(settings_type, arguments, words=words or {}, settings_file=settings_file)
    except HelpRequested:
        from xpu_shared.program.help import help_text  # noqa: PLC0415 - only help needs it

        text = help_text(
            settings_type, program=program, description=description, words=words or {}, settings_file=settings_file
        )
        raise HelpRequested(text) from None
    return settle(settings_type, given)


def gather(
    settings_type: "type[DataclassInstance]",
    arguments: Sequence[str],
    *,
    words: Mapping[str, str],
    settings_file: bool = True,
) -> Given:
    """Read a command line, and the file that its `--config` names.

    Raises:
        UsageError: a flag or a word cannot be used, or the file cannot be read.
        HelpRequested: help was asked for; it has no text.
    """
    options = {flag_name(name): option for name, option in options_of(settings_type).items()}
    parsed = parse(arguments, {**options, **KLOG_FLAGS, "config": CONFIG} if settings_file else options)
    _check_words(parsed.words, words)
    if not settings_file:
        return Given(parsed, None)
    return Given(parsed, _read(parsed.values["config"]) if "config" in parsed.values else None)


def settle(settings_type: type[S], given: Given) -> Loaded[S]:
    """The settings that were given, checked together; UsageError."""
    options = {flag_name(name): option for name, option in options_of(settings_type).items()}
    parsed, document = given.parsed, given.document
    keys = parsed.values.keys() | (document.value.keys() if document else set())
    names = frozenset(field.name for field in fields(settings_type) if flag_name(field.name) in keys)
    for field in fields(settings_type):
        if field.name not in names and default_of(field) is MISSING:
            flag = flag_name(field.name)
            subject = f"key {given.key(flag)}" if given.section else f"flag {dashed(flag)}"
            raise UsageError(f"{subject} is needed: expected {options[flag].allowed}")
    if document is None:
        settings = _from_flags(settings_type, {name: parsed.values[flag_name(name)] for name in names})
    else:
        texts = {flag: text for flag, text in parsed.texts.items() if flag in options}
        settings = _from_file_and_flags(settings_type, document, texts, given.section)
    return Loaded(settings=settings, given=names, words=tuple(parsed.words))


def options_of(settings_type: "type[DataclassInstance]") -> dict[str, Option[Any]]:
    """The option of each field, by field name, in the order of declaration."""
    hints = get_type_hints(settings_type, include_extras=True)
    options: dict[str, Option[Any]] = {}
    for field in fields(settings_type):
        annotations = getattr(hints[field.name], "__metadata__", ())
        found = [extra for extra in annotations if isinstance(extra, Option)]
        if len(found) != 1:
            raise TypeError(f"{settings_type.__name__}.{field.name}: expected Annotated with one kind of option")
        options[field.name] = found[0]
    return options


def default_of(field: Field[Any]) -> Any:
    """A field's default, or MISSING."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def _check_words(found: Sequence[str], allowed: Mapping[str, str]) -> None:
    for word in found:
        if word not in allowed:
            expected = f"expected {' or '.join(allowed)}" if allowed else "only flags are expected"
            raise UsageError(f"unexpected argument {shown(word)}: {expected}")


def _read(path: Path) -> "Document":
    """A settings file, with a map in it."""
    from xpu_shared.program.yaml_file import Document, YamlError, read  # noqa: PLC0415 - only --config pays for YAML

    try:
        document = read(path)
    except YamlError as error:
        raise UsageError(str(error)) from None
    if document.value is None:
        return Document(path=document.path, value={}, lines=document.lines)
    if not isinstance(document.value, dict):
        found = shown(document.value)
        raise UsageError(f"{document.place(())}: the document: expected settings such as 'v: 2', found {found}")
    return document


def _from_flags(settings_type: type[S], values: Mapping[str, Any]) -> S:
    try:
        return settings_type(**values)
    except ValueError as error:  # of the dataclass itself: options that exclude each other
        raise UsageError(str(error)) from None


def _from_file_and_flags(
    settings_type: type[S], document: "Document", texts: Mapping[str, str | list[str]], section: tuple[str, ...]
) -> S:
    """Check the file's values and the flags' texts as one: a conflict in the file that a flag resolves is none."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - 9 MiB that only --config pays

    from xpu_shared.program.yaml_file import describe, unknown_key  # noqa: PLC0415 - as above

    known = {flag_name(field.name) for field in fields(settings_type)}
    for key in document.value:
        if key not in known:
            key_path = (*section, key)
            raise UsageError(f"{document.place(key_path)}: {unknown_key('.'.join(key_path), known)}")
    try:
        return TypeAdapter(settings_type).validate_python({**document.value, **texts})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if not first["loc"]:  # of the dataclass itself, which names its options
            place = f"{document.place(section)}: {'.'.join(section)}: " if section else ""
            raise UsageError(f"{place}{first['ctx']['error']}") from None
        text = describe(error, document, section)
        raise UsageError(text, exit_code=exit_code(first.get("ctx", {}).get("error"))) from None

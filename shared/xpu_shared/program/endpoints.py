"""The kind of option that names ZeroMQ endpoints: `ipc:///run/xpu/level-zero.sock`, `tcp://10.0.0.7:5556`."""

from dataclasses import dataclass
from typing import ClassVar

from xpu_shared.program.options import Address, Option

LONGEST_PATH = 107  # bytes, the kernel's sockaddr_un without its final NUL


@dataclass(frozen=True, kw_only=True)
class Endpoints(Option[tuple[str, ...]]):
    """As many as the flag is given times; in YAML a text or a list of texts."""

    repeatable: ClassVar[bool] = True

    @property
    def allowed(self) -> str:
        return f"ipc:// with an absolute path of at most {LONGEST_PATH} bytes, or tcp:// with host and port"

    @property
    def placeholder(self) -> str:
        return "endpoint"

    def parse(self, text: str) -> tuple[str, ...]:
        if not is_endpoint(text):
            raise self.refusal()
        return (text,)

    def accept(self, value: object) -> tuple[str, ...]:
        if isinstance(value, list):
            return tuple(dict.fromkeys(endpoint for item in value for endpoint in super(Endpoints, self).accept(item)))
        return super().accept(value)

    def show(self, value: tuple[str, ...]) -> str:
        return " ".join(value)


def is_endpoint(text: str) -> bool:
    if text.startswith("ipc://"):
        return _is_socket(text.removeprefix("ipc://"))
    if not text.startswith("tcp://"):
        return False
    try:
        address = Address(help="").parse(text.removeprefix("tcp://"))
    except ValueError:
        return False
    return bool(address and address.host and address.port)


def _is_socket(path: str) -> bool:
    directory = path.rpartition("/")[2] in ("", ".", "..")
    return path.startswith("/") and not directory and path.isprintable() and len(path.encode()) <= LONGEST_PATH

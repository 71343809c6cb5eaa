"""Imports libraries without OpenSSL, which costs 4 MiB of a plugin's memory and serves only requests to the API server.

asyncio does without the module `ssl` where Python was built without it, so it is shown none. Everybody else, such as
http.client, gets one that is loaded when it is used.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

TLS = "ssl"


class Lazy(ModuleType):
    """The module, loaded at the first use of one of its names."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked by whoever imports it
            raise AttributeError(name)
        if sys.modules.get(TLS) is self:
            del sys.modules[TLS]
        module = import_module(TLS)
        self.__dict__.update(vars(module))
        return getattr(module, name)


class StandIn(ModuleType):
    """Has every name, for signatures and base classes that want one."""

    def __getattr__(self, name: str) -> type[object]:
        return object


def import_asyncio() -> None:
    """Before anything else does. It cannot speak TLS then: gRPC and ZeroMQ bring their own."""
    if TLS in sys.modules:
        return
    with shown({TLS: None}):
        import asyncio  # noqa: F401, PLC0415 - for what the import leaves behind
    sys.modules[TLS] = Lazy(TLS)


def import_metrics_library() -> None:
    """prometheus_client, before anything else does. While it lasts, only one thread runs.

    Its servers and its pushes are not used, `web.py` serves our page: they get nothing to work with.
    """
    import http.client  # noqa: F401, PLC0415 - this is used, and shall not meet the stand-in

    with shown({name: StandIn(name) for name in (TLS, "urllib.request")}):
        import prometheus_client  # noqa: F401, PLC0415


@contextmanager
def shown(modules: Mapping[str, ModuleType | None]) -> Iterator[None]:
    """While imports last. None is Python's own mark for a module that must not be found."""
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module

"""Fuzz one target, led by coverage: python -m fuzz.guided TARGET [libFuzzer's options and directories of examples]."""

import sys
from functools import cache

import atheris
import pydantic

with atheris.instrument_imports(include=["xpu_shared", "xpu_sidecars", "xpu_plugins"]):
    from fuzz.targets import TARGETS


def main() -> None:
    name, *options = sys.argv[1:]
    # A settings file is checked by an adapter that takes far longer to make than to use; a program makes one.
    pydantic.TypeAdapter = cache(pydantic.TypeAdapter)  # type: ignore[misc,assignment]
    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()  # ends the process


if __name__ == "__main__":
    main()

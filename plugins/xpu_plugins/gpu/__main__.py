"""The GPU plugin's command line."""

import sys
from collections.abc import Sequence

from xpu_plugins.gpu.plugin import GpuPlugin
from xpu_plugins.gpu.settings import GpuSettings, below_prefix
from xpu_shared.program.flags import HelpRequested, UsageError
from xpu_shared.program.settings import load
from xpu_shared.program.signals import end_on_signals

PROGRAM = "xpu-gpu-plugin"
DESCRIPTION = "Offers the Intel GPUs of this node to Kubernetes: a device plugin for the kubelet."
WORDS = {"discover": "print what would be offered, and why the other cards would not, and exit"}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    try:
        loaded = load(GpuSettings, arguments, program=PROGRAM, description=DESCRIPTION, words=WORDS)
        if "output" in loaded.given and not loaded.words:
            raise UsageError(f"--output={loaded.settings.output} is only for discover")
    except HelpRequested as help_text:
        print(help_text)
        return 0
    except UsageError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    settings = below_prefix(loaded)
    if loaded.words:
        from xpu_plugins.gpu.discover import discover  # noqa: PLC0415 - the plugin at work does not need it

        return discover(settings)
    end_on_signals()
    from xpu_shared.runner import run  # noqa: PLC0415 - with gRPC, which discover does not need

    return run([GpuPlugin(settings)], settings, program=PROGRAM)


if __name__ == "__main__":
    sys.exit(main())

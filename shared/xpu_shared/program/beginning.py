"""What a program's process does before it imports what it works with."""

from xpu_shared.program.signals import end_on_signals


def begin() -> None:
    """End on signals from now on, and be lean."""
    end_on_signals()
    from xpu_shared.program.without_tls import import_asyncio  # noqa: PLC0415 - a signal may come while it is imported

    import_asyncio()

"""The EPC registration as a program: what Intel's `sgx_epchook` does, and its flags."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from xpu_plugins.sgx.epc.node import RESOURCE, RegistrationError
from xpu_plugins.sgx.epc.sections import Epc
from xpu_plugins.sgx.epc.settings import EpcSettings
from xpu_plugins.sgx.epc.sources import UnknownEpcError, find_epc
from xpu_shared.program import logs
from xpu_shared.program.flags import HelpRequested, UsageError, shown
from xpu_shared.program.logs import Log
from xpu_shared.program.settings import load
from xpu_shared.program.signals import end_on_signals

PROGRAM = "xpu-sgx-epc"
DESCRIPTION = (
    "Tells the size of this node's enclave page cache (EPC): on standard output, to NFD, or to the API server."
)
FEATURE_FILE = "xpu-sgx-epc.txt"
LOOK_AGAIN = 60.0  # seconds: a kubelet that has lost its state sets the capacity to 0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds between attempts

Known = tuple[str, Epc] | str | None  # source and size, or why it is not known; None before the first look

log = Log("epc")


class FailedError(Exception):
    """The program ends with 1; one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    try:
        loaded = load(
            EpcSettings,
            sys.argv[1:] if arguments is None else arguments,
            program=PROGRAM,
            description=DESCRIPTION,
            settings_file=False,
        )
    except HelpRequested as help_text:
        print(help_text)
        return 0
    except UsageError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return error.exit_code
    logs.configure("text", 0)
    settings = loaded.settings
    log.info("starts", program=PROGRAM)
    try:
        return run(settings, os.environ)
    except FailedError as error:
        log.error(str(error))
        return 1


def run(settings: EpcSettings, environment: Mapping[str, str], service_account: Path | None = None) -> int:
    """Do what the settings say; returns the exit code.

    Args:
        service_account: the directory of its token, instead of the one that every pod has.
    Raises:
        FailedError: the program ends with 1.
    """
    stays = settings.daemon or settings.watch
    if stays:
        end_on_signals()
    known: Known = None
    while True:
        known = publish(settings, environment, service_account, known)
        if not stays:
            return 0
        time.sleep(LOOK_AGAIN)


def publish(
    settings: EpcSettings, environment: Mapping[str, str], service_account: Path | None, before: Known
) -> Known:
    """Tell the size wherever the settings say, also when others have changed that; logged only when it is new.

    Returns what is known of it now.

    Raises:
        FailedError: the program ends with 1.
    """
    known: Known
    try:
        known = find_epc(settings.cpuid_source, sysfs=settings.sysfs_root, dev=settings.dev_root)
    except UnknownEpcError as error:
        known = str(error)
    if isinstance(known, str):
        if before is None and (settings.affirm or settings.register):
            raise FailedError(known)
        if known != before:
            log.error(known)
        return known
    source, epc = known
    if known != before:
        tell(source, epc, report=settings.report)
    if settings.affirm and not epc.total:
        raise FailedError(f"no EPC: {epc.reason}")
    if settings.features_dir is not None:
        write_feature_file(settings.features_dir, epc.total)
    if not settings.register and not isinstance(before, tuple):  # NFD's hooks take one line
        sys.stdout.write(f"{RESOURCE}={epc.total}")
        sys.stdout.flush()
    if settings.register or settings.node_label:
        registration = registering(settings, environment, epc.total, service_account)
        attempt(registration, patient=settings.daemon or settings.watch)
    return known


def tell(source: str, epc: Epc, *, report: bool) -> None:
    for text in epc.warnings:
        log.warning(text)
    log.info("capacity in bytes", epc=epc.total, source=source, **({"reason": epc.reason} if epc.reason else {}))
    if report:
        sections = [
            {"subleaf": one.subleaf, "base": one.base, "size": one.size, "class": one.protection}
            for one in epc.sections
        ]
        values = {"source": source, "total": epc.total, "sections": sections, "warnings": epc.warnings}
        print(json.dumps(values), file=sys.stderr, flush=True)


def write_feature_file(directory: Path, total: int) -> None:
    """FailedError when it cannot be written."""
    from datetime import UTC, datetime  # noqa: PLC0415 - only this needs it

    from xpu_shared.labels.feature_file import FeatureFile, FeatureFileError  # noqa: PLC0415 - as above

    try:
        FeatureFile(directory / FEATURE_FILE).update({RESOURCE: str(total)}, now=datetime.now(UTC))
    except FeatureFileError as error:
        raise FailedError(str(error)) from None


def registering(
    settings: EpcSettings, environment: Mapping[str, str], total: int, service_account: Path | None
) -> Callable[[], bool]:
    """What makes the node's object as it should be; FailedError when nobody can be asked."""
    from xpu_plugins.sgx.epc.node import update  # noqa: PLC0415 - HTTPS, which NFD's way does not need
    from xpu_shared.api_server import SERVICE_ACCOUNT, ApiServer, NoApiServerError, is_node_name  # noqa: PLC0415 - as above

    name = environment.get("NODE_NAME", "")
    if not is_node_name(name):
        raise FailedError(f"NODE_NAME={shown(name)}: expected the name of this node")
    try:
        api = ApiServer.of_this_pod(environment, service_account or SERVICE_ACCOUNT)
    except NoApiServerError as error:
        raise FailedError(f"node {name}: {error}") from None
    return lambda: update(api, name, total, register=settings.register, label=settings.node_label)


def attempt(registration: Callable[[], bool], *, patient: bool, sleep: Callable[[float], object] = time.sleep) -> None:
    """Make it so; FailedError when it fails, or when trying again makes no sense."""
    pause = FIRST_PAUSE
    while True:
        try:
            if registration():
                log.info("patched the node")
            return
        except RegistrationError as error:
            if not (patient and error.worth_repeating):
                raise FailedError(str(error)) from None
            log.warning("tries again", seconds=pause, reason=error)
        sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)

"""One look at a node's devices, outside a running plugin: a scan, and what the plugin's own source says of them."""

import asyncio
import contextlib
import os

from xpu_shared.device import ScanResult
from xpu_shared.health import UNKNOWN
from xpu_shared.judging import judged
from xpu_shared.plugin import Causes, Plugin, RunsBesideScans, TellsDetails
from xpu_shared.threads import in_daemon_thread


def look_once(plugin: Plugin, *, patience: float) -> ScanResult:
    """Scan; a source of the plugin's own gets `patience` seconds to say something of each device.

    Raises:
        OSError: nothing at all can be seen.
    """
    if isinstance(plugin, RunsBesideScans):
        return asyncio.run(_listen_and_scan(plugin, patience))
    return judged(plugin, plugin.scan())


async def _listen_and_scan(plugin: Plugin, patience: float) -> ScanResult:
    assert isinstance(plugin, RunsBesideScans)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC's own lines are nobody's business here
    changed = asyncio.Event()
    source = asyncio.create_task(plugin.run_beside_scans(Causes(scan=changed.set, judge=changed.set)))
    try:
        async with asyncio.timeout(patience):
            while True:
                changed.clear()
                with contextlib.suppress(OSError):  # the source may have to speak first
                    result = judged(plugin, await in_daemon_thread(plugin.scan, name="scan"))
                    if _known(result) and (not isinstance(plugin, TellsDetails) or plugin.details_complete):
                        return result
                await changed.wait()
    except TimeoutError:
        return judged(plugin, await in_daemon_thread(plugin.scan, name="scan"))
    finally:
        source.cancel()
        await asyncio.wait({source})


def _known(result: ScanResult) -> bool:
    return not any(UNKNOWN in device.conditions for devices in result.devices.values() for device in devices)

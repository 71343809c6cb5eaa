"""How many containers may use SGX when the administrator does not say: as many as pods fit on the node."""

import re

from xpu_plugins.sgx.settings import MOST
from xpu_shared.device import Problem

PODS = 110  # the kubelet's own default
VARIABLE = "PODS_PER_CORE"  # of the environment; named as the kubelet names its setting
DIGITS = re.compile(r"[0-9]+")
LARGEST = 2**32 - 1


def default_limit(pods_per_core: str, *, cpus: int, problems: list[Problem]) -> int:
    """Pods on a node whose kubelet has this `podsPerCore`; empty when nothing is known of it.

    Args:
        cpus: those that this process may run on.
    """
    if not pods_per_core:
        return PODS
    if len(pods_per_core) > 100 or not DIGITS.fullmatch(pods_per_core) or int(pods_per_core) > LARGEST:
        text = f"expected a number from 0 to {LARGEST}, found {pods_per_core[:64]!a}: {PODS} is used"
        problems.append(Problem(subject=VARIABLE, text=text))
        return PODS
    pods = int(pods_per_core) * cpus
    if pods > MOST:
        problems.append(Problem(subject=VARIABLE, text=f"{pods} pods on {cpus} CPUs are too many: {MOST} is used"))
    return min(pods, MOST) or PODS  # 0 is the kubelet's word for "not limited by cores"

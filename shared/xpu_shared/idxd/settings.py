"""What an administrator may choose for work queues, of DSA and IAA alike; docs/dsa-iaa.md explains it."""

import re
from dataclasses import dataclass
from typing import Annotated

from xpu_shared.idxd.rules import MOST_SHARED, NamePattern, ShareRule, ShareRules
from xpu_shared.program.options import Boolean, Choice, Integer
from xpu_shared.program.settings import FamilySettings

QUEUES = "Which work queues are offered, and how"
MANY_SHARED = 1000  # rarely meant


@dataclass(frozen=True, slots=True, kw_only=True)
class IdxdSettings(FamilySettings):
    shared_dev_num: Annotated[
        int,
        Integer(
            group=QUEUES,
            minimum=1,
            maximum=MOST_SHARED,
            out_of_range_exit=1,
            help="how many containers may share a queue of mode shared",
        ),
    ] = 1
    shared_dev_num_rule: Annotated[
        tuple[ShareRule, ...],
        ShareRules(group=QUEUES, help="other numbers for single shared queues, such as name=app*:8,size>=32:16"),
    ] = ()
    resource_from_name: Annotated[
        re.Pattern[str] | None,
        NamePattern(
            group=QUEUES,
            help="a pattern on queues' names; what its group res matches is added to the resource's name",
        ),
    ] = None
    advertise_kernel_wqs: Annotated[
        bool, Boolean(group=QUEUES, help="also offer queues of type kernel, which give a container nothing: a count")
    ] = True
    require_char_link: Annotated[
        bool, Boolean(group=QUEUES, help="offer no user queue before udev has made its link in /dev/char")
    ] = False
    inject_env: Annotated[
        bool, Boolean(group=QUEUES, help="tell a container its queues in environment variables such as DSA_WQ0")
    ] = False
    preferred: Annotated[
        str,
        Choice(
            group=QUEUES,
            values=("none", "pack", "spread"),
            help="which queues a container gets of several: pack those of few devices on one NUMA node, spread those "
            "of many devices, none has no preference",
        ),
    ] = "none"

"""Which resource names a kubelet accepts.

Written apart from the plugins' own check, so that one mistake cannot hide in both.
"""

import re

LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = re.compile(rf"{LABEL}(\.{LABEL})*")
NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
QUOTA_PREFIX = "requests."  # resource quotas put it before the name, and the result has to be valid as well


def invalid_because(resource: str) -> str | None:
    """The rule that a resource name breaks, None for a valid one."""
    domain, slash, name = resource.partition("/")
    if not slash:
        return "it has no slash"
    if "kubernetes.io/" in resource:
        return "kubernetes.io is not for extended resources"
    if resource.startswith(QUOTA_PREFIX):
        return f"it starts with {QUOTA_PREFIX}"
    if not SUBDOMAIN.fullmatch(domain) or len(QUOTA_PREFIX + domain) > 253:
        return "the part before the slash is no DNS subdomain of at most 244 characters"
    if not NAME.fullmatch(name) or len(name) > 63:
        return "the part after the slash is not 1 to 63 letters, digits, '-', '_' and '.', alphanumeric at both ends"
    return None

"""What can be a node's name: everywhere where one becomes part of a path or a request, this is asked first."""

import re

NODE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


def is_node_name(text: str) -> bool:
    """Whether it can be a node's name, and so part of a request's path."""
    return bool(NODE_NAME.fullmatch(text)) and ".." not in text

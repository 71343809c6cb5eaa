"""What a command and a running simulator tell each other: one line of JSON each way, then the connection ends."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from xpu_simulator.scenario import ACTIONS, Action
from xpu_simulator.status import Status

LONGEST_REQUEST = 64 * 1024  # bytes
LONGEST_ANSWER = 64 * 1024 * 1024  # bytes: the status of 100,000 devices is 10 MiB
SUFFIX = ".sock"  # behind a simulator's name


def _something(action: Action) -> Action:
    if not action.actions:
        raise ValueError(f"expected one of {', '.join(ACTIONS)}")
    return action


class Request(BaseModel):
    """Do it, or without an action only tell how things are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Annotated[Action, AfterValidator(_something)] | None = None


class Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    text: str = ""  # what was done, or why it was not
    exit_code: int = 0  # of the command
    status: Status | None = None


def reason(error: ValidationError) -> str:
    """What is wrong with an action, on one line."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place or 'the request'}: {' '.join(first['msg'].removeprefix('Value error, ').split())}"

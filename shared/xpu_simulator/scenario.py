"""What happens to a node, step by step, and what has to come of it: the YAML file that `--scenario` names."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    model_validator,
)

from xpu_simulator.fabric.description import EndText
from xpu_simulator.fabric.state import LinkState
from xpu_simulator.fields import Name
from xpu_simulator.kubelet.names import invalid_because
from xpu_simulator.level_zero.faults import Fault

Seconds = Annotated[float, Field(strict=True, ge=0, le=3600)]
Count = Annotated[int, Field(strict=True, ge=0)]
PositiveCount = Annotated[int, Field(strict=True, ge=1)]


def _resource_name(name: str) -> str:
    if reason := invalid_because(name):
        raise ValueError(f"{name!r} is no resource name: {reason}")
    return name


def _counts(value: object) -> object:
    return {"allocatable": value} if isinstance(value, int) else value


ResourceName = Annotated[str, AfterValidator(_resource_name)]


class Part(BaseModel):
    """Unknown keys are mistakes, not extensions."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Counts(Part):
    """What the node's status says of a resource."""

    allocatable: Count | None = None
    capacity: Count | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.allocatable is None and self.capacity is None:
            raise ValueError("expected a number, or allocatable and capacity")
        return self


class RunPod(Part):
    name: Name
    resources: Annotated[Mapping[ResourceName, PositiveCount], Field(min_length=1)]
    rejected: bool = False  # the pod is expected not to be admitted
    gets: Annotated[list[str], Field(min_length=1)] | None = None  # the ids it is expected to get, in any order

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.rejected and self.gets:
            raise ValueError("a pod that is rejected gets nothing")
        return self


class Rebind(Part):
    device: Name = Field(validation_alias=AliasChoices("device", "gpu"))
    driver: Name


class FaultOfGpu(Fault):
    """A fault and whose it is; `clear` ends all that was wrong with it before."""

    gpu: Name
    clear: StrictBool = False

    @property
    def fault(self) -> Fault:
        return Fault(**self.model_dump(include=set(Fault.model_fields)))

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.clear and not self.fault.given:
            raise ValueError(f"expected clear or one of {', '.join(Fault.model_fields)}")
        return self


class FaultOfLink(Part):
    """What a link is from now on."""

    between: tuple[EndText, EndText]
    state: LinkState


ACTIONS = ("add", "remove", "rebind", "fault", "fault_link", "kill", "kubelet", "run_pod", "delete_pod", "reboot")


class Action(Part):
    """One thing that is done to a node. Devices have names in its description; a GPU is one of them."""

    add: Name | None = Field(default=None, validation_alias=AliasChoices("add", "add_gpu"))
    remove: Name | None = Field(default=None, validation_alias=AliasChoices("remove", "remove_gpu"))
    rebind: Rebind | None = Field(default=None, validation_alias=AliasChoices("rebind", "rebind_gpu"))
    fault: FaultOfGpu | None = None
    fault_link: FaultOfLink | None = None
    kill: Name | None = None  # a program of the simulation, which is started again
    kubelet: Literal["restart", "stop", "start"] | None = None
    run_pod: RunPod | None = None
    delete_pod: Name | None = None
    reboot: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_action(self) -> Self:
        if len(self.actions) > 1:
            raise ValueError(f"a step does one thing, not {' and '.join(self.actions)}")
        return self

    @property
    def actions(self) -> list[str]:
        """The keys that are given."""
        return [action for action in ACTIONS if getattr(self, action) is not None]

    @property
    def device(self) -> str | None:
        """The name of the device it is about."""
        if self.fault:
            return self.fault.gpu
        return self.add or self.remove or (self.rebind.device if self.rebind else None)

    @property
    def hot_plug(self) -> bool:
        """A device comes, goes or changes drivers."""
        return bool(self.add or self.remove or self.rebind)


class Show(Part):
    """Lines to show of what the node tells the outside; it is expected that there are some."""

    metrics: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(default_factory=list)  # their beginnings
    labels: StrictBool = False

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.metrics and not self.labels:
            raise ValueError("expected metrics or labels")
        return self


class Step(Action):
    """One thing that happens, what is expected of it, or both."""

    note: str = ""  # told before the step
    pause_seconds: Seconds | None = None
    expect: Mapping[ResourceName, Annotated[Counts, BeforeValidator(_counts)]] = Field(default_factory=dict)
    show: Show | None = None
    within_seconds: Seconds = 5.0  # from the beginning of the step

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.actions and not self.expect and not self.show:
            raise ValueError(f"a step needs expect, show or one of {', '.join(('pause_seconds', *ACTIONS))}")
        return self

    @property
    def actions(self) -> list[str]:
        return [*(["pause_seconds"] if self.pause_seconds is not None else []), *super().actions]


class Scenario(Part):
    steps: Annotated[list[Step], Field(min_length=1)]

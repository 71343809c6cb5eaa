"""What can be wrong with a GPU, as scenarios and commands say it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MemoryHealth = Literal["ok", "degraded", "critical", "replace"]


class Fault(BaseModel):
    """What is wrong with one GPU. What is not given stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: Annotated[float, Field(ge=-60, le=250)] | None = None  # °C of the GPU's hottest sensor
    memory_health: MemoryHealth | None = None
    bus: bool | None = None  # the PCI link has lost speed
    wedged: bool | None = None  # the driver wants a reset
    lost: bool | None = None  # every call says that the device is lost
    hang: bool | None = None  # calls do not come back
    crash: bool | None = None  # calls crash whoever makes them

    def over(self, earlier: "Fault") -> "Fault":
        """This on top of what was wrong before."""
        return earlier.model_copy(update=self.given)

    @property
    def given(self) -> dict[str, object]:
        return self.model_dump(exclude_none=True)

    @property
    def text(self) -> str:
        """In words, for a line of output."""
        words = []
        if self.temperature is not None:
            words.append(f"is at {self.temperature:g} °C")
        if self.memory_health is not None:
            words.append(f"has memory that is {self.memory_health}")
        states = {
            "has lost speed on its bus": self.bus,
            "is wedged": self.wedged,
            "is lost to its driver": self.lost,
            "hangs": self.hang,
            "crashes its driver": self.crash,
        }
        return ", ".join([*words, *(word for word, holds in states.items() if holds)]) or "is well"


WELL = Fault()

"""interim"""

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from xpu_simulator.errors import UsageError

EXAMPLES = Path(__file__).with_name("examples")
Description = TypeVar("Description", bound=BaseModel)


def examples() -> list[str]:
    return sorted(path.stem for path in EXAMPLES.glob("*.yaml"))


def read(name: str, model: type[Description]) -> Description:
    path = Path(name)
    if not path.exists():
        path = EXAMPLES / f"{name}.yaml"
    try:
        return model.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise UsageError(f"{name}: {error}") from error

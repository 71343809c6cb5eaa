"""python -m bench.page FILE prints docs/figures.md of a result that `make bench BENCH="--json FILE"` has written."""

import json
import sys
from pathlib import Path

from bench.figures import page

print(page(json.loads(Path(sys.argv[1]).read_text())), end="")

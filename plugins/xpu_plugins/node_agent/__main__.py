"""The node agent's command line."""

import sys

from xpu_plugins.node_agent.program import main

if __name__ == "__main__":
    sys.exit(main())

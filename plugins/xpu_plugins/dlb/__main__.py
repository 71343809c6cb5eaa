"""The DLB plugin's command line."""

import sys

from xpu_plugins.dlb.program import PROGRAM

main = PROGRAM.main

if __name__ == "__main__":
    sys.exit(main())

"""The command line of the EPC registration."""

import sys

from xpu_plugins.sgx.epc.program import main

if __name__ == "__main__":
    sys.exit(main())

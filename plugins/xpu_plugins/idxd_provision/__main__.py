"""The command line of the provisioner of DSA and IAA."""

import sys

from xpu_plugins.idxd_provision.program import PROGRAM

main = PROGRAM.main

if __name__ == "__main__":
    sys.exit(main())

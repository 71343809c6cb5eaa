"""The command line of the provisioner of DLB."""

import sys

from xpu_plugins.dlb.provision.program import PROGRAM

main = PROGRAM.main

if __name__ == "__main__":
    sys.exit(main())

"""Runs a command that the kernel kills when this program's parent ends, however it ends.

Started as a file by `plugin_process.py`, with the parent's process id before the command. Setting this up between
fork and exec of a process that has threads, as one with gRPC has, could deadlock.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    parent, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == int(parent):  # else it ended before the kernel was told
        os.execv(command[0], command)  # noqa: S606 - a list of arguments, no shell


if __name__ == "__main__":
    main()

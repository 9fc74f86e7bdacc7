"""The program that `probe.emulation` starts: ``python -I -S trial.py DIRECTORY``.

It changes its root to DIRECTORY and executes ``/program`` there. If that fails, it prints the errno.
"""

import os
import sys

if __name__ == "__main__":
    try:
        os.chroot(sys.argv[1])
        os.chdir("/")
        os.execve("/program", ["/program"], {})  # noqa: S606 - the program of `smallest`
    except OSError as error:
        os.write(1, str(error.errno).encode())

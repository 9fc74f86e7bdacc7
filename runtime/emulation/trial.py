"""The program by which `emulation.emulation` tries another one out: ``python -I -S trial.py DIRECTORY``.

It becomes ``/program`` of DIRECTORY, with DIRECTORY as its root as in a sandbox. When it cannot, it prints the errno.
"""

import os
import sys

if __name__ == "__main__":
    try:
        os.chroot(sys.argv[1])
        os.chdir("/")
        os.execve("/program", ["/program"], {})  # noqa: S606 - nothing but our own few bytes
    except OSError as error:
        os.write(1, str(error.errno).encode())

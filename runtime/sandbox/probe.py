"""The program that `privileges.probe` runs: ``python -I -S probe.py RUNG TRIAL...``.

It changes nothing outside of itself. With the rung ``userns`` or ``single`` it becomes root of a user namespace first;
when it cannot, it prints a line "! REASON", a line with the hint and one with the command for that, and ends. Otherwise
it prints a line for each TRIAL: the errno, 0 for success, and the name.
"""

import os
import sys

sys.path.append(os.path.abspath(__file__).rsplit(os.sep, 4)[0])

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.sandbox.trials import TRIALS, attempt


def _become_root() -> None:
    from pybuild.runtime.sandbox.user_namespace import become_root

    try:
        become_root()
    except SandboxUnavailable as error:
        # The exit code is 0 all the same: another one means that this program is broken.
        os.write(1, f"! {error}\n{error.hint}\n{error.command}\n".encode())
        os._exit(0)


if __name__ == "__main__":
    rung, *wanted = sys.argv[1:]
    if rung in {"userns", "single"}:
        _become_root()
    for what in wanted:
        os.write(1, f"{attempt(TRIALS[what])} {what}\n".encode())

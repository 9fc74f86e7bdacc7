"""Where a monitor starts: ``python -I -S bootstrap.py``; descriptor 0 is a socket of `starting.spawn_monitor_process`.

It is short because Python compiles its main script again at each start, and caches only what that imports.
"""

import os
import sys

# At the end, so that nothing that is installed beside this package can hide a module of the standard library.
sys.path.append(os.path.abspath(__file__).rsplit(os.sep, 4)[0])

from pybuild.runtime.kernel.passing import receive
from pybuild.runtime.kernel.syscalls import PR_SET_DUMPABLE, block_signals, close_range, prctl, reset_signals
from pybuild.runtime.monitor.monitor import Monitor
from pybuild.runtime.monitor.settings import CHANNEL, NETWORK, OWNERS, SETTINGS, MonitorSettings
from pybuild.runtime.records import decode
from pybuild.runtime.sandbox.inside.keeper import cut_imports
from pybuild.runtime.sandbox.inside.namespaces import JOINABLE
from pybuild.runtime.sandbox.inside.namespaces import NETWORK as NETWORK_NAMESPACE

_ASIDE = 64
"""The first of seven numbers that no descriptor of a process has that has just started."""


def main() -> None:
    """Run as a monitor."""
    # Ignored signals would be ignored by the container's processes, too. All are blocked: only SIGKILL ends a monitor.
    reset_signals()
    block_signals()
    prctl(PR_SET_DUMPABLE, 0)
    cut_imports()
    os.chdir("/")
    os.umask(0o077)
    _, given = receive(0, OWNERS + len(JOINABLE) - 1 - CHANNEL)
    if not given:  # the command that started this process has failed
        os._exit(0)
    # By way of higher numbers, because the numbers of some may be those that others are to have.
    for index, fd in enumerate(given):
        os.dup2(fd, _ASIDE + index)
    for index in range(len(given)):
        os.dup2(_ASIDE + index, CHANNEL + index, inheritable=False)
    close_range(CHANNEL + len(given))
    # The socket, by which no more will come, is replaced by /dev/null.
    os.dup2(1, 0)
    with open(SETTINGS, "rb", buffering=0) as file:
        file.seek(0)
        settings = decode(file.readall())
    if isinstance(settings, MonitorSettings):
        # Without a network to join it is a second descriptor of the lock, which is held while one is open.
        if NETWORK_NAMESPACE not in settings.run.joins:
            os.close(NETWORK)
        monitor = Monitor(settings)
        try:
            monitor.run()
        except Exception as error:
            # The container ends with this process, and its state is where the user looks for the reason.
            monitor.give_up(error)
            raise


main()

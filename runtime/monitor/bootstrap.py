"""Where a monitor starts: ``python -I -S bootstrap.py``, with descriptors 0 to 4 from `starting.leave_monitor`.

It is short because Python compiles its main script again at each start, and caches only what that imports.
"""

import os
import sys

# At the end, so that nothing that is installed beside this package can hide a module of the standard library.
sys.path.append(os.path.abspath(__file__).rsplit(os.sep, 4)[0])

from pybuild.runtime.kernel.syscalls import PR_SET_DUMPABLE, block_signals, close_range, prctl, reset_signals
from pybuild.runtime.monitor.monitor import CHANNEL, LIFELINE, LOCK, NETWORK, WATCH, Monitor
from pybuild.runtime.monitor.watch import WatchOrder
from pybuild.runtime.sandbox.inside.keeper import cut_imports
from pybuild.runtime.wire import decode


def main() -> None:
    """Run as a monitor."""
    # From the highest down: the copy of descriptor 0 takes the number 3, which must have been copied before.
    for stream, fd in reversed(list(enumerate((CHANNEL, WATCH, LOCK, NETWORK, LIFELINE)))):
        os.dup2(stream, fd, inheritable=False)
    close_range(LIFELINE + 1)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    os.close(null)
    # Ignored signals would be ignored by the container's processes, too. All are blocked: only SIGKILL ends a monitor.
    reset_signals()
    block_signals()
    prctl(PR_SET_DUMPABLE, 0)
    cut_imports()
    os.chdir("/")
    os.umask(0o077)
    with open(WATCH, "rb", buffering=0) as file:
        file.seek(0)
        watch = decode(file.readall())
    if isinstance(watch, WatchOrder):
        if not watch.run.joins:  # it is a second descriptor of the lock then, which would be held while one is open
            os.close(NETWORK)
        monitor = Monitor(watch)
        try:
            monitor.run()
        except Exception as error:
            # The container ends with this process, and its state is where the user looks for the reason.
            monitor.give_up(error)
            raise


main()

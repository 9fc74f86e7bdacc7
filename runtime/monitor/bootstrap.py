"""Where a monitor starts: ``python -I -S bootstrap.py``; its first five descriptors are what `starting` hands over.

Kept small because the file that Python is started with is compiled anew each time; what it imports is not.
"""

import os
import sys

# Behind the standard library, so that nothing installed beside this package can shadow it.
sys.path.append(os.path.abspath(__file__).rsplit(os.sep, 4)[0])

from pybuild.runtime.kernel.syscalls import PR_SET_DUMPABLE, block_signals, close_range, prctl, reset_signals
from pybuild.runtime.monitor.monitor import CHANNEL, LIFELINE, LOCK, NETWORK, WATCH, Monitor
from pybuild.runtime.monitor.watch import WatchOrder
from pybuild.runtime.sandbox.inside.keeper import cut_imports
from pybuild.runtime.wire import decode


def main() -> None:
    """Run as a monitor; the first descriptors are those that `monitor.CHANNEL` and its neighbours say."""
    for stream, fd in reversed(list(enumerate((CHANNEL, WATCH, LOCK, NETWORK, LIFELINE)))):
        os.dup2(stream, fd, inheritable=False)
    close_range(LIFELINE + 1)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    os.close(null)
    # What is ignored would be ignored inside, too; all are held back: only SIGKILL ends a monitor.
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
        if not watch.joins:  # a lock is held for as long as it has a descriptor
            os.close(NETWORK)
        monitor = Monitor(watch)
        try:
            monitor.run()
        except Exception as error:
            # The container ends with us, and somebody will ask why.
            monitor.give_up(error)
            raise


main()

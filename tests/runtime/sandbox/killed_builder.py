"""Kills forty builders at random moments and waits until all that they started is gone; see test_launcher.py.

As a subreaper this process inherits the orphans of each builder, so it can wait for every one of them. A process that
outlives its builder would keep it waiting until the alarm.
"""

import os
import random
import signal
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from pybuild.runtime.kernel.syscalls import prctl
from pybuild.runtime.rootfs.roots import OverlayRoot
from pybuild.runtime.sandbox.interpreter import interpreter
from pybuild.runtime.sandbox.launcher import run
from pybuild.runtime.sandbox.spec import Process, Spec

PR_SET_CHILD_SUBREAPER = 36
base, directory = map(Path, sys.argv[1:])


def build() -> None:
    # New directories each time, as in a build: the kernel may take an overlay apart after its last process has ended.
    while True:
        upper, work = (Path(tempfile.mkdtemp(dir=directory)) for _ in "uw")
        process = Process(args=("sh", "-c", "sleep 1000 & true"), env=(("PATH", "/bin"),))
        run(Spec(root=OverlayRoot(lowers=(base,), upper=upper, work=work), process=process), output=lambda *_: None)


def reap_all() -> None:
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


prctl(PR_SET_CHILD_SUBREAPER, 1)
interpreter()
signal.alarm(30)
kills = 0
for _ in range(40):
    builder = os.fork()
    if builder == 0:
        build()
    threading.Event().wait(random.uniform(0, 0.05))
    os.kill(builder, signal.SIGKILL)
    reap_all()
    kills += 1
sys.stdout.write(f"{kills}\n")

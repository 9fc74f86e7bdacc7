"""Where the fork server of chroots starts: ``python -I -S bootstrap.py``, with a Unix socket as standard input."""

import gc
import os
import sys

gc.disable()  # for the reason in `runtime.sandbox.inside.bootstrap`
sys.path.append(os.path.abspath(__file__).rsplit(os.sep, 4)[0])

from pybuild.runtime.chrooted.inside.keeper import keep  # noqa: E402 - after the line that it needs
from pybuild.runtime.sandbox.inside.forkserver import serve  # noqa: E402

serve(keep)

"""The program of the fork server: ``python -I -S bootstrap.py``, with a Unix socket as standard input.

It is this short because Python compiles the file that it is started with each time, unlike those that are imported.
"""

import gc
import os
import sys

# A child lives for one run and frees nothing before its end, so collections would find nothing (0.2 ms, measured).
gc.disable()
# Last, so that nothing that is installed beside this package is imported in place of the standard library.
sys.path.append(os.path.abspath(__file__).rsplit(os.sep, 5)[0])

from pybuild.runtime.sandbox.inside.forkserver import serve  # noqa: E402 - needs the two lines above

if sys.argv[1:] == ["supervised"]:
    import pybuild.runtime.sandbox.inside.supervision  # noqa: F401 - the server cuts imports

serve()

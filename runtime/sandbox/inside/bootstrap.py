"""Where the fork server starts: ``python -I -S bootstrap.py``, with a Unix socket as standard input.

Kept this small because the file that Python is started with is compiled anew each time; what it imports is not.
"""

import gc
import os
import sys

# A child keeps what it makes until it ends: collecting garbage costs 0.2 ms (measured) and finds none.
gc.disable()
# Behind the standard library, so that nothing installed beside this package can shadow it.
sys.path.append(os.path.abspath(__file__).rsplit(os.sep, 5)[0])

from pybuild.runtime.sandbox.inside.forkserver import serve  # noqa: E402 - after the two lines that it needs

if sys.argv[1:] == ["supervised"]:
    import pybuild.runtime.sandbox.inside.supervised  # noqa: F401 - before imports are cut

serve()

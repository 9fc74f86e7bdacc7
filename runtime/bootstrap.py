"""Where the sandbox child starts: ``python -I -S bootstrap.py PLAN STATUS``, two inherited file descriptors.

Kept this small because the file that Python is started with is compiled anew each time; what it imports is not.
"""

import os
import sys

# Behind the standard library, so that nothing installed beside this package can shadow it.
sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from runtime.sandbox import main

main(int(sys.argv[1]), int(sys.argv[2]))

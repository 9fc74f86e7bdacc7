import os
import sys

import greet

if "--check" in sys.argv:
    print("prefix", sys.prefix)
else:
    print(greet.sentence(os.environ["GREETING"], os.getuid() != 0))

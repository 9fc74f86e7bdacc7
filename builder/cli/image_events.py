"""Notes what commands do to images in the log of events, which ``events`` shows."""

import os
import time

from pybuild.builder.store.store import Store
from pybuild.runtime.monitor.events import append


def tell_image(opened: Store, action: str, identity: str, name: str = "") -> None:
    """Note that *action* was done to the image *identity*, called *name* or like its identity."""
    attributes = {"name": name or identity}
    append(os.fsencode(opened.root), "image", action, identity, attributes, time.time_ns())

"""Events about images: what commands do to images, as ``events`` shows it."""

import os
import time

from pybuild.builder.store.store import Store
from pybuild.runtime.monitor.events import append


def log_image_event(opened: Store, action: str, identity: str, name: str = "") -> None:
    """Write an event: *action* happened to the image *identity*, whose name is *name* or else its identity."""
    attributes = {"name": name or identity}
    append(os.fsencode(opened.root), "image", action, identity, attributes, time.time_ns())

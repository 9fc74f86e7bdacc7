"""What is done to images is told."""

import time

from pybuild.builder.cli.image_events import log_image_event
from pybuild.builder.containers.events import read_events
from tests.builder.cli.conftest import Shop


def test_an_image_without_a_name_is_called_by_its_identity(shop: Shop) -> None:
    log_image_event(shop.store, "tag", "sha256:1", "box:1")
    log_image_event(shop.store, "untag", "sha256:2")
    told = read_events(shop.store.root, 0, time.time())
    assert [(each.kind, each.action, each.identity, each.attributes) for each in told] == [
        ("image", "tag", "sha256:1", (("name", "box:1"),)),
        ("image", "untag", "sha256:2", (("name", "sha256:2"),)),
    ]

"""The image that containers are made of."""

from tests.runtime.sandboxes import base, image

__all__ = ["base", "image"]

"""A store of its own for each test of what names images, as the commands have one."""

from tests.builder.cli.conftest import shop

__all__ = ["shop"]

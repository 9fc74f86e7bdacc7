"""Flags about a new image that several commands make: its names, its platform, its history entry and compression."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from pybuild.builder.cli.flags.group import option, part
from pybuild.builder.oci.errors import OciError
from pybuild.builder.oci.model import Descriptor, ImageConfig
from pybuild.builder.store.store import Store
from pybuild.runtime.values import frozen

_F = TypeVar("_F", bound=Callable[..., Any])


def name_image(opened: Store, descriptor: Descriptor, names: tuple[str, ...]) -> None:
    """Give an image all *names*; without any it is kept under its ID."""
    for name in names:
        opened.layout.tag(name, descriptor)
    if not names:
        opened.layout.keep(descriptor)


@contextmanager
def loading(source: Path | str | None) -> Iterator[None]:
    """Add the source to failures of the block: the file *source*, or standard input when it is None."""
    try:
        yield
    except OciError as error:
        raise type(error)(f"failed to load {source or 'standard input'}: {error}", hint=error.hint) from error


def tag_option(function: _F) -> _F:
    """Add ``-t``; *function* gets what was given as ``tags``."""
    text = "Name of the new image; repeatable. Without one, the image is listed by its ID."
    return click.option("-t", "--tag", "tags", multiple=True, metavar="NAME[:TAG]", help=text)(function)


def platform_option(function: _F) -> _F:
    """Add ``--platform``, which selects an image of a multi-platform image."""
    text = "Platform to take from a multi-platform image (default: this host's)."
    return click.option("--platform", metavar="OS/ARCH[/VARIANT]", help=text)(function)


@frozen
class ChangeFlags:
    """Instructions for the config of an image that is not built. An empty value is one."""

    changes: tuple[str, ...] = option(
        "-c",
        "--change",
        empty=True,
        multiple=True,
        metavar="INSTRUCTION",
        help='Apply a Dockerfile instruction to the image, such as "CMD /bin/sh"; repeatable.',
    )

    def changed(self, config: ImageConfig) -> ImageConfig:
        """Return *config* after the instructions of ``--change``."""
        if not self.changes:
            return config
        from pybuild.builder.cli.flags.changes import changed

        return changed(config, self.changes)


@frozen
class EntryFlags:
    """The config and the history entry of an image with a new layer. An empty value is one."""

    change: ChangeFlags = part(ChangeFlags)
    message: str = option(
        "-m", "--message", empty=True, default="", metavar="TEXT", help="Comment for the history entry."
    )


def compression_flag(layers: str = "the new layer") -> Any:
    """Declare a field for ``--compression`` of *layers*, as the help calls them."""
    return option(
        "--compression",
        empty=True,
        default="gzip",
        metavar="TYPE[,LEVEL]",
        help=f"Compression of {layers}: gzip (default), zstd or uncompressed.",
    )

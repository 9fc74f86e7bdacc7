"""The names that commands give to the images they make."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from pybuild.builder.oci.errors import OciError
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.store.store import Store

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


def entry_options(function: _F) -> _F:
    """Add ``-c`` and ``-m``: what is said of a new layer; *function* gets ``changes`` and ``message``."""
    text = 'Apply a Dockerfile instruction to the image, such as "CMD /bin/sh"; repeatable.'
    change = click.option("-c", "--change", "changes", multiple=True, metavar="INSTRUCTION", help=text)
    message = click.option("-m", "--message", default="", metavar="TEXT", help="Comment for the history entry.")
    return change(message(function))


def compression_option(function: _F) -> _F:
    """Add ``--compression``; *function* gets it as ``packed``."""
    text = "Compression of the new layer: gzip (default), zstd or uncompressed."
    return click.option("--compression", "packed", default="gzip", metavar="TYPE[,LEVEL]", help=text)(function)

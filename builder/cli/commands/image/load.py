"""``pybuild load``: images from an archive into the store."""

from contextlib import AbstractContextManager, nullcontext
from io import BufferedReader
from pathlib import Path

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.flags.new_image import loading
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.cli.image_events import log_image_event
from pybuild.builder.cli.tools import open_stdin, say, store
from pybuild.builder.image.catalog import familiar, find
from pybuild.builder.platforms import given_platform
from pybuild.builder.transports.load import load_images


@click.command("load", cls=Command)
@click.option(
    "-i", "--input", "source", type=FilePath(), metavar="FILE", help="Read from FILE (default: standard input)."
)
@click.option("--platform", metavar="OS/ARCH[/VARIANT]", help="Load this platform only from multi-platform images.")
@click.option("-q", "--quiet", is_flag=True, expose_value=False, help="No effect: only names are printed.")
@root_option
def command(source: Path | None, platform: str | None) -> None:
    """Load images from an archive of docker save or podman save, or from an OCI layout: an archive or a directory.

    Archives may be compressed. Images get the names that they have there, after all of them were verified.
    """
    wanted = given_platform(platform)
    opened = store()
    try:
        with opened.in_use(), loading(source), _open(source) as given:
            for names in load_images(opened, given, wanted):
                say("\n".join(map(_show, names)))
                for name in names:
                    log_image_event(opened, "load", find(opened, name).id, familiar(name))
    finally:
        opened.close()


def _open(source: Path | None) -> AbstractContextManager[Path | BufferedReader]:
    return open_stdin() if source is None else nullcontext(source)


def _show(name: str) -> str:
    return f"Loaded image ID: {name}" if name.startswith("sha256:") else f"Loaded image: {familiar(name)}"

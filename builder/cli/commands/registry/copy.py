"""``pybuild copy``: an image from one place to another, without unpacking it."""

from collections.abc import Callable
from pathlib import Path

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.flags.access import Sides, two_sides_options
from pybuild.builder.cli.flags.group import option, takes
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.cli.format.transfer import Meter, short
from pybuild.builder.cli.tools import say, store
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.outputs.files import replace_file
from pybuild.builder.platforms import given_platform
from pybuild.builder.transports.copy import copy
from pybuild.builder.transports.places import parse_place
from pybuild.builder.transports.source import Choice, ReadOptions
from pybuild.builder.transports.target import WriteOptions
from pybuild.runtime.values import frozen


@frozen
class CopyFlags:
    """Which of the images at the source is copied, and where its digest is written."""

    everything: bool = option("-a", "--all", is_flag=True, help="Copy a multi-platform image as a whole.")
    platform: str | None = option(
        "--platform",
        metavar="OS/ARCH[/VARIANT]",
        help="Platform to take from a multi-platform image (default: this host's).",
    )
    digestfile: Path | None = option(
        "--digestfile", type=FilePath(), metavar="FILE", help="Write the digest of the copied image to FILE."
    )
    multi_arch: str | None = option("--multi-arch", type=click.Choice(["system", "all"]), hidden=True)

    def choice(self) -> Choice:
        """Return which images are copied. Raises RequestError when the flags contradict each other."""
        everything = self.everything or self.multi_arch == "all"
        if everything and self.platform:
            raise RequestError("--platform can't be used with --all")
        return Choice(everything=everything, platform=given_platform(self.platform))


@click.command("copy", cls=Command)
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@takes(CopyFlags, "flags")
@click.option("--preserve-digests", is_flag=True, expose_value=False, hidden=True)
@click.option("--retry-times", type=int, expose_value=False, hidden=True)
@two_sides_options
@click.option("-q", "--quiet", is_flag=True, help="Suppress all output.")
@root_option
def command(source: str, target: str, *, flags: CopyFlags, sides: Sides, quiet: bool) -> None:
    """Copy an image unchanged from SOURCE to TARGET.

    \b
    SOURCE and TARGET are each one of
      docker://REGISTRY/NAME[:TAG]          an image in a registry
      oci:DIR[:NAME]                        an image in an OCI layout, which may have others
      oci-archive:FILE[:NAME]               an OCI layout in an archive
      docker-archive:FILE[:NAME[:TAG]]      an archive that docker load reads
      NAME[:TAG]                            an image in the store

    With --all a multi-platform image is copied as a whole, else the image for one platform, like skopeo. Layers are not
    unpacked and digests stay the same, with two exceptions: uncompressed layers of a docker-archive are compressed, and
    an image without a manifest gets one. Image IDs never change.

    TARGET gets its name when the copy is complete. An archive is replaced; an OCI layout gets an additional image. A
    copy between registries keeps nothing in the store, and within one registry it mounts the layers. An interrupted
    copy is resumed when the same command is run again.
    """  # noqa: D301 - click's mark for a paragraph that keeps its lines
    choice = flags.choice()
    before, after = parse_place(source), parse_place(target)
    sides.check([before], after)
    opened = store()
    meter = Meter("copying", quiet=quiet)
    try:
        with opened.in_use():
            reading = ReadOptions(store=opened, access=sides.source, progress=meter)
            writing = WriteOptions(store=opened, access=sides.target, progress=meter, ended=_teller(meter, quiet=quiet))
            copied = copy(before, after, choice, reading, writing)
    finally:
        meter.clear()
        opened.close()
    if flags.digestfile is not None:
        replace_file(flags.digestfile, f"{copied.digest}\n".encode())
    if not quiet:
        say(f"Copied {source} to {target}")
        say(f"Digest: {copied.digest}")


def _teller(meter: Meter, *, quiet: bool) -> Callable[[Descriptor, str], None]:
    def tell(blob: Descriptor, outcome: str) -> None:
        if not quiet:
            meter.clear()
            say(f"{short(str(blob.digest))}: {outcome}")

    return tell

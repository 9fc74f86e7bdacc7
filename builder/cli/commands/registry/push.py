"""``pybuild push``: an image of the store to its registry."""

from pathlib import Path

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.flags.access import access_options
from pybuild.builder.cli.flags.build_values import checked_compression
from pybuild.builder.cli.flags.completion_types import IMAGE
from pybuild.builder.cli.flags.group import option, takes
from pybuild.builder.cli.flags.no_op import RETRY, TRUST, add_no_op_flags
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.cli.format.transfer import Meter, short
from pybuild.builder.cli.image_events import log_image_event
from pybuild.builder.cli.tools import say, store, warn
from pybuild.builder.errors import RequestError
from pybuild.builder.image.catalog import familiar, find
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import ImageNotFound
from pybuild.builder.oci.model import Descriptor, Platform
from pybuild.builder.oci.registry.access import Access
from pybuild.builder.outputs.files import replace_file
from pybuild.builder.outputs.push import Watch, push, pushable, selected
from pybuild.builder.platforms import given_platform
from pybuild.builder.store.store import Store
from pybuild.grammar.reference import DEFAULT_TAG, InvalidReference, Reference, parse_reference
from pybuild.runtime.values import frozen

_DOCKER = {"oci": False, "v2s2": True, "docker": True}


@frozen
class PushForm:
    """How an image is converted. *docker* None keeps its media types, *algorithm* "" keeps its layers."""

    docker: bool | None = None
    algorithm: str = ""
    level: int | None = None

    def of(self, opened: Store, descriptor: Descriptor) -> Descriptor:
        """Return *descriptor* in this form. The converted blobs stay in the store until the next prune."""
        if self.docker is None and not self.algorithm:
            return descriptor
        from pybuild.builder.oci.convert import Form, convert

        form = Form(docker=bool(self.docker), algorithm=self.algorithm, level=self.level)
        return convert(opened.blobs, descriptor, form)


@frozen
class FormFlags:
    """The form in which an image is uploaded."""

    kind: str | None = option(
        "--format",
        type=click.Choice([*_DOCKER]),
        help="Convert media types: oci, or Docker's (v2s2 or docker).",
    )
    algorithm: str | None = option(
        "--compression-format", metavar="TYPE", help="Recompress all layers: gzip, zstd or uncompressed."
    )
    level: str | None = option("--compression-level", metavar="LEVEL", help="Level for --compression-format.")
    force_compression: bool = option("--force-compression", is_flag=True, hidden=True)

    def form(self) -> PushForm:
        """Return the form. Raises RequestError."""
        if self.level and not self.algorithm:
            raise RequestError("--compression-level needs --compression-format")
        packed = checked_compression(self.algorithm, self.level) if self.algorithm else None
        docker = _DOCKER[self.kind] if self.kind else None
        if docker and packed is not None and packed.algorithm == "zstd":
            raise RequestError("zstd needs OCI media types", hint="leave out --format")
        return PushForm(
            docker=docker,
            algorithm=packed.algorithm if packed else "",
            level=packed.level if packed and self.level else None,
        )


@frozen
class PushFlags:
    """What is uploaded, and where its digest is written."""

    all_tags: bool = option("-a", "--all-tags", is_flag=True, help="Upload all tags of the repository.")
    platform: str | None = option(
        "--platform", metavar="OS/ARCH[/VARIANT]", help="Upload this platform only of a multi-platform image."
    )
    digestfile: Path | None = option(
        "--digestfile", type=FilePath(), metavar="FILE", help="Write the digest of the pushed image to FILE."
    )


@click.command("push", cls=Command)
@click.argument("name", metavar="NAME[:TAG]", type=IMAGE)
@takes(PushFlags, "flags")
@add_no_op_flags(*RETRY, *TRUST, "--remove-signatures")
@takes(FormFlags, "form", FormFlags.form)
@access_options
@click.option("-q", "--quiet", is_flag=True, help="Print the full name only.")
@root_option
def command(name: str, *, flags: PushFlags, form: PushForm, access: Access, quiet: bool) -> None:
    """Upload the image NAME to the registry that its name begins with (default: Docker Hub).

    Layers that the registry has are not uploaded again. The tag appears when the upload is complete. A multi-platform
    image is pushed as a whole, if the store has all of it. --format and --compression-format change the digest.
    """
    reference = pushable(name)
    tagged = name.endswith(f":{reference.tag}")
    if flags.all_tags and tagged:
        raise RequestError("tag can't be used with --all-tags/-a")
    opened = store()
    try:
        with opened.in_use():
            if not flags.all_tags and not tagged and not quiet:
                say(f"Using default tag: {DEFAULT_TAG}")
            wanted = given_platform(flags.platform)
            for item in _tags(opened, reference) if flags.all_tags else [reference]:
                digest = _push(opened, item, form.of(opened, _chosen(opened, item, wanted)), access, quiet=quiet)
    finally:
        opened.close()
    if flags.digestfile is not None:
        replace_file(flags.digestfile, f"{digest}\n".encode())


def _tags(opened: Store, reference: Reference) -> list[Reference]:
    """Return the names of this repository that the store has."""
    found = []
    for name, _ in opened.layout.entries():
        try:
            other = parse_reference(name)
        except InvalidReference:
            continue
        if other.tag and not other.digest and other._replace(tag=reference.tag) == reference:
            found.append(other)
    if not found:
        text = f"An image does not exist locally with the tag: {reference.registry}/{reference.repository}"
        raise ImageNotFound(text, hint="pybuild images lists the images of the store")
    return found


def _listed(opened: Store, reference: Reference) -> Descriptor:
    try:
        return find(opened, str(reference)).descriptor
    except ImageNotFound as error:
        text = f"An image does not exist locally with the tag: {reference.registry}/{reference.repository}"
        raise ImageNotFound(text, hint=error.hint) from error


def _chosen(opened: Store, reference: Reference, platform: Platform | None) -> Descriptor:
    """Return what is pushed of the image *reference*; warn when that is a part of it that nobody asked for."""
    listed = _listed(opened, reference)
    descriptor = selected(opened, listed, platform)
    if descriptor.digest != listed.digest and not platform:
        warn(f"the store does not have the images for all platforms; pushing the one for {descriptor.platform}")
    return descriptor


def _push(opened: Store, reference: Reference, descriptor: Descriptor, access: Access, *, quiet: bool) -> Digest:
    meter = Meter("uploading", quiet=quiet)

    def ended(blob: Descriptor, outcome: str) -> None:
        if not quiet:
            meter.clear()
            say(f"{short(str(blob.digest))}: {outcome}")

    if not quiet:
        say(f"The push refers to repository [{reference.registry}/{reference.repository}]")
    try:
        push(opened, descriptor, [str(reference)], Watch(status=meter, ended=ended), access=access)
    finally:
        meter.clear()
    log_image_event(opened, "push", familiar(str(reference)))
    if quiet:
        say(str(reference))
    else:
        say(f"{reference.tag}: digest: {descriptor.digest} size: {descriptor.size}")
    return descriptor.digest

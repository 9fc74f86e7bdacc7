"""``pybuild rebase``: an image on another base, without a build."""

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.flags.completion_types import IMAGE
from pybuild.builder.cli.flags.new_image import name_image, platform_option, tag_option
from pybuild.builder.cli.tools import say, store
from pybuild.builder.edit.documents import ImageDocuments
from pybuild.builder.edit.rebase import BASE_NAME, BaseImage, rebased, recorded_base
from pybuild.builder.errors import RequestError
from pybuild.builder.image.catalog import Listed, find
from pybuild.builder.oci.image import Image, read_image
from pybuild.builder.oci.model import Platform
from pybuild.builder.platforms import given_platform
from pybuild.builder.request.checks import full_names
from pybuild.builder.store.store import Store

_EPILOG = """\b
What the new image has:
  - of NEWBASE: its layers, its history and its platform;
  - of IMAGE: the layers above the old base and their history, and the whole of
    its config and annotations. Variables, labels, user, entrypoint and so on
    that IMAGE once got from its old base stay as they are; pybuild diff shows
    what the two bases say, pybuild mutate changes it;
  - annotations that name NEWBASE, for the next time.
"""


@click.command("rebase", cls=Command, epilog=_EPILOG)
@click.argument("image", type=IMAGE)
@click.option("--onto", required=True, metavar="NEWBASE", help="The new base image.")
@click.option("--old-base", metavar="OLD", help="The base that IMAGE was built on (default: as annotated).")
@tag_option
@platform_option
@root_option
def command(image: str, onto: str, old_base: str | None, tags: tuple[str, ...], platform: str | None) -> None:
    """Create an image with the layers that IMAGE adds to its base on top of NEWBASE, and print its ID.

    No step is run again, so NEWBASE should be a newer version of the same base. IMAGE must begin with exactly the
    layers of the old base, which --old-base names, else the annotation org.opencontainers.image.base.digest or
    org.opencontainers.image.base.name of its manifest. All images must be in the store.
    """
    names = full_names(tags)
    opened = store()
    try:
        with opened.in_use():
            found = find(opened, image)
            source = read_image(opened.blobs, found.descriptor, given_platform(platform))
            target = _platform(source)
            old = _old_base(opened, source, target, old_base)
            new = _base(opened, find(opened, onto), onto, target)
            documents = rebased(ImageDocuments.read(opened.blobs, source), old, new, text=image)
            made = documents.write(opened.blobs, source)
            name_image(opened, made.descriptor, names)
    finally:
        opened.close()
    say(str(made.id))


def _platform(image: Image) -> Platform:
    return Platform(os=image.config.os, architecture=image.config.architecture, variant=image.config.variant)


def _base(opened: Store, listed: Listed, text: str, platform: Platform) -> BaseImage:
    image = read_image(opened.blobs, listed.descriptor, platform)
    return BaseImage(text, listed.name, image, ImageDocuments.read(opened.blobs, image))


def _old_base(opened: Store, source: Image, platform: Platform, given: str | None) -> BaseImage:
    annotations = source.manifest.annotations
    name = annotations.get(BASE_NAME, "")
    recorded = None if given else recorded_base(opened.blobs, annotations)
    if recorded is not None:
        return _base(opened, Listed(name, recorded, None), name or str(recorded.digest), platform)
    if not given and not name:
        raise RequestError("the image does not name its base", hint="name the old base with --old-base")
    return _base(opened, find(opened, given or name), given or name, platform)

"""The root file systems of an image, or of an index, and the path in an output that each is written to."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from pybuild.builder.errors import RequestError
from pybuild.builder.oci import media
from pybuild.builder.oci.image import children, read_image
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.outputs.tree import OutputTree, directories, is_directory
from pybuild.builder.store.cache import image_layers
from pybuild.builder.store.store import Store


@contextmanager
def open_trees(descriptor: Descriptor, store: Store, *, split: bool | None) -> Iterator[Sequence[OutputTree]]:
    """Open the root file systems of an image. With *split* each platform has a directory like ``linux_arm_v7``.

    None means true for an index. Otherwise all are written to one directory, and no two may have the same file.

    Raises:
        RequestError: two platforms have the same file.
    """
    is_index = descriptor.media_type in media.INDEXES
    split = is_index if split is None else split
    found = []
    with ExitStack() as stack:
        for each in children(store.blobs, descriptor) if is_index else (descriptor,):
            image = read_image(store.blobs, each, each.platform)
            fd = store.trees.open(image_layers(image))
            stack.callback(os.close, fd)
            config = image.config
            platform = "/".join(filter(None, (config.os, config.architecture, config.variant)))
            found.append(OutputTree(directory=platform.replace("/", "_") if split else "", platform=platform, fd=fd))
        if not split and len(found) > 1:
            _check_apart(found)
        yield found


def _check_apart(trees: Sequence[OutputTree]) -> None:
    owners: dict[str, str] = {}
    for tree in trees:
        for directory in directories(tree.fd):
            for path in (directory.inner(entry.name) for entry in directory.entries if not is_directory(entry)):
                other = owners.setdefault(path, tree.platform)
                if other != tree.platform:
                    raise RequestError(
                        f"cannot overwrite {path} from {other} with {tree.platform} when split option is disabled",
                        hint="leave out platform-split=false",
                    )

"""Finding the image of an ``index.json`` that a user means."""

from collections.abc import Sequence
from dataclasses import replace

from pybuild.builder.errors import RequestError
from pybuild.builder.oci.layout import names_of
from pybuild.builder.oci.model import Descriptor


def pick(entries: Sequence[Descriptor], name: str, where: str) -> Descriptor:
    """Return the entry called *name*, or the only image; without annotations, which belong to the index.

    Tools disagree about names: some write a full one, some the tag alone, some both in two annotations.

    Raises:
        RequestError: there is none, or more than one.
    """
    named = [entry for entry in entries if name in names_of(entry)] if name else list(entries)
    images = {entry.digest: entry for entry in named}
    if len(images) == 1:
        (found,) = images.values()
        return replace(found, annotations={})
    names = ", ".join(sorted({known for entry in entries for known in names_of(entry)})[:20])
    hint = f"it has {names}" if names else ""
    if not images:
        raise RequestError(f"{where} has no image {name!r}" if name else f"{where} has no image", hint=hint)
    raise RequestError(f"{where} has several images: add a colon and the name of one", hint=hint)

"""The names that a user gives to images, spelled in full as the store keeps them."""

from pybuild.builder.errors import RequestError
from pybuild.builder.request.checks import full_name


def full_names(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Return *tags* as full names, each once, in order. Raises RequestError for one that is no valid name."""
    return tuple(dict.fromkeys(full_name(tag) for tag in tags))


def new_name(text: str) -> str:
    """Return the full form of a new name of an image. Raises RequestError for one that looks like a digest."""
    name = full_name(text)
    if text.partition(":")[0] == "sha256":
        raise RequestError("refusing to create an ambiguous tag using digest algorithm as name")
    return name

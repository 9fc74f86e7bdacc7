"""The names that a user gives to images, spelled in full as the store keeps them."""

from pybuild.builder.request.checks import full_name


def full_names(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Return *tags* as full names, each once, in order. Raises RequestError for one that is no valid name."""
    return tuple(dict.fromkeys(full_name(tag) for tag in tags))

"""The names that a user gives to images, spelled in full as the store keeps them."""

from pybuild.builder.errors import RequestError


def full_names(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Return *tags* as full names, each once, in order. Raises RequestError for one that is no valid name."""
    from pybuild.grammar.reference import InvalidReference, parse_reference

    names: dict[str, None] = {}
    for tag in tags:
        try:
            reference = parse_reference(tag)
        except InvalidReference as error:
            raise RequestError(f'invalid tag "{tag}": {error}') from error
        if reference.digest:
            raise RequestError(f'invalid tag "{tag}": a tag cannot have a digest')
        names[str(reference)] = None
    return tuple(names)

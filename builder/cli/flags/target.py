"""``--target``: one stage, or several with the names of their images."""

from collections.abc import Sequence

from pybuild.builder.errors import RequestError
from pybuild.builder.image.names import full_names
from pybuild.builder.request import Target


def targets(given: Sequence[str], tags: tuple[str, ...]) -> tuple[Target, ...]:
    """Return the targets of ``STAGE`` and ``STAGE=NAME[:TAG][,NAME...]``; *tags* are those of the one without names.

    Raises:
        RequestError: no stage, a stage twice, or names that could be those of more than one target.
    """
    found = [_target(item) for item in given]
    stages = [target.stage for target in found]
    if len(set(stages)) < len(stages):
        raise RequestError("a target is given twice", hint="give all its names at once: STAGE=NAME,NAME")
    nameless = [target for target in found if not target.tags]
    if len(found) > 1 and tags and len(nameless) != 1:
        raise RequestError("which target is -t for?", hint="give each target its names: --target STAGE=NAME[:TAG]")
    if len(found) == 1:
        return (Target(stage=found[0].stage, tags=(*tags, *found[0].tags)),)
    return tuple(target if target.tags else Target(stage=target.stage, tags=tags) for target in found)


def _target(item: str) -> Target:
    stage, equals, names = item.partition("=")
    if not stage or (equals and not names):
        raise RequestError(f"invalid target {item!r}, expected STAGE or STAGE=NAME[:TAG]")
    return Target(stage=stage, tags=full_names(tuple(names.split(","))) if names else ())

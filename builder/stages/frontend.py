"""``# syntax=``: the language that a file is written in.

BuildKit fetches the image that the directive names and lets it translate the file. Nothing is fetched or run here:
Docker's own frontend is accepted, in any version and from any mirror, because pybuild implements its language. Any
other frontend is an error.
"""

from collections.abc import Iterable

from pybuild.builder.errors import RequestError, ResolveError
from pybuild.builder.request import Planning
from pybuild.grammar.nodes import Directive
from pybuild.grammar.reference import InvalidReference, parse_reference

BUILD_ARGUMENT = "BUILDKIT_SYNTAX"
"""The build argument that overrides the directive."""

_OURS = "dockerfile.v0"
# The second one is what BuildKit's developers publish before a release.
_NAMES = frozenset({"dockerfile", "dockerfile-upstream"})
_HINT = f"if it is an ordinary Dockerfile, build with --build-arg {BUILD_ARGUMENT}={_OURS}"


def check_frontend(directives: Iterable[Directive], planning: Planning) -> None:
    """Raise ResolveError or RequestError when the frontend is not Docker's."""
    given = dict(planning.build_args).get(BUILD_ARGUMENT, "")
    if given:
        if not _is_docker(given):
            raise RequestError(f"frontend {given} is not supported", hint=f"{BUILD_ARGUMENT} may be {_OURS}")
        return
    for directive in directives:
        if directive.key == "syntax" and not _is_docker(directive.value):
            message = f"frontend {directive.value} is not supported: files are read as Dockerfiles only"
            raise ResolveError(message, span=directive.span, hint=_HINT)


def _is_docker(value: str) -> bool:
    """Return whether *value*, an image and its arguments, means Docker's frontend."""
    image = value.split(maxsplit=1)[0] if value.split() else _OURS
    if image == _OURS:
        return True
    try:
        repository = parse_reference(image).repository
    except InvalidReference:
        return False
    return repository.rpartition("/")[2] in _NAMES

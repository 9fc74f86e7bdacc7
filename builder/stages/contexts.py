"""Named contexts: what ``--build-context name=value`` substitutes for stages and images.

    path  or  ./path                     a directory of the host, with an ignore file of its own
    docker-image://name[:tag][@digest]   an image, as after FROM; ``scratch`` works as well
    oci-layout://path[:tag][@digest]     an image in an OCI layout of the host
    https://...git  https://...tar.gz    a git repository, an archive

A context with the name of a stage replaces the whole stage; otherwise it replaces the image of that name, where
``name::os/arch`` applies to that platform only.
"""

from collections.abc import Mapping

from pybuild.builder.errors import RequestError, ResolveError
from pybuild.builder.options import is_true
from pybuild.builder.plan.plan import Definition
from pybuild.builder.platforms import parse_platform, wanted_platform
from pybuild.builder.request import Planning
from pybuild.builder.request.names import SCRATCH, short_name
from pybuild.builder.sources.address import GitSource, parse_context
from pybuild.builder.stages.stages import FromContext, FromImage, FromRemote, FromScratch, Input
from pybuild.grammar.reference import InvalidReference, parse_reference
from pybuild.runtime.values import field, frozen, replace

_IMAGE, _LAYOUT = "docker-image://", "oci-layout://"
_MAIN = FromContext()
_KEEP = "BUILDKIT_CONTEXT_KEEP_GIT_DIR"


@frozen
class Contexts:
    """The build context and the named ones. *platform* is that of the image to be built."""

    main: Input = _MAIN
    named: Mapping[str, Input] = field(default_factory=dict)
    platform: str = ""

    def stage(self, name: str, platform: str = "") -> Input | None:
        """Return what replaces the stage called *name*; *platform*, in normal form, if FROM names one."""
        return self._found(name.lower(), platform)

    def image(self, text: str, platform: str = "") -> Input | None:
        """Return what replaces the image called *text*, for *platform* if one is named."""
        name = short_name(text)
        return None if name is None else self._found(name, str(parse_platform(platform)) if platform else "")

    def name_of(self, reference: str) -> str:
        """Return the name of the context that replaces the image *reference*, "" when there is none."""
        given = (
            name
            for name, source in self.named.items()
            if isinstance(source, FromImage) and source.reference == reference
        )
        return next(given, "")

    def _found(self, name: str, platform: str) -> Input | None:
        return self.named.get(f"{name}::{platform or self.platform}", self.named.get(name))


def contexts_of(definition: Definition, planning: Planning) -> Contexts:
    """Return the contexts of a build. Raises RequestError for an invalid name or value."""
    main = remote_context(definition.address, planning) if definition.address else _MAIN
    named = {name: _value(name, value) for name, value in definition.contexts}
    return Contexts(main=main, named=named, platform=str(wanted_platform(planning.platform)))


def remote_context(address: str, planning: Planning) -> FromRemote:
    """Return the build context at *address*. Raises RequestError when it means nothing."""
    return _remote(address, keep_git_dir=is_true(dict(planning.build_args).get(_KEEP, "")))


def is_directory(value: str) -> bool:
    """Return whether the value of a named context means a directory of the host."""
    return not value.startswith((_IMAGE, _LAYOUT)) and _source(value) is None


def _value(name: str, value: str) -> Input:
    if value.startswith(_IMAGE):
        try:
            image = value.removeprefix(_IMAGE)
            return FromScratch() if image == SCRATCH else FromImage(str(parse_reference(image)))
        except InvalidReference as error:
            raise RequestError(f"invalid --build-context {name}={value}: {error}") from error
    if value.startswith(_LAYOUT):
        return FromImage(value)
    source = _source(value)
    return FromContext(name) if source is None else source


def _source(value: str) -> FromRemote | None:
    try:
        source = parse_context(value)
    except ResolveError as error:
        raise RequestError(error.message, hint=error.hint) from error
    return None if source is None else FromRemote(source, as_tree=True)


def _remote(value: str, *, keep_git_dir: bool) -> FromRemote:
    found = _source(value)
    if found is None:
        raise RequestError(f"not an address of a build context: {value!r}")
    if isinstance(found.source, GitSource) and keep_git_dir:
        return replace(found, source=replace(found.source, keep_git_dir=True))
    return found

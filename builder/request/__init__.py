"""The request of a build: one frozen value with a part for each phase.

    files       where the Dockerfile and the build context are read from
    planning    everything besides the Dockerfile that changes the graph of steps
    execution   how steps are executed
    result      the images to make: names, form, outputs
    caches      the earlier results that may be used, and those to keep

Each phase gets only its parts. Values are checked when they are created, and raise RequestError with the messages of
the command line.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from pybuild.builder.request import checks
from pybuild.builder.request.values import (
    Annotation,
    CacheSpec,
    Compression,
    Device,
    Output,
    Resources,
    Rights,
    Secret,
    Shape,
    Stored,
    Target,
    Volume,
)
from pybuild.runtime.values import fields, frozen, replace

__all__ = [
    "Annotation",
    "CacheSpec",
    "Caches",
    "Changes",
    "Compression",
    "Device",
    "Execution",
    "Files",
    "Output",
    "Planning",
    "Request",
    "Resources",
    "Result",
    "Rights",
    "Secret",
    "Shape",
    "Stored",
    "Target",
    "Volume",
    "changes",
]

_Keywords = ParamSpec("_Keywords")
_Result = TypeVar("_Result")
_Self = TypeVar("_Self")


@frozen
class Files:
    """Where the Dockerfile and the build context are read from.

    These paths are the user's own and opened by name. Files below the context are opened by descriptor.
    """

    context: Path | str
    """A directory; text is the address of a git repository, an archive or a Dockerfile."""
    dockerfile: Path | None = None
    """None: ``Dockerfile`` (else ``dockerfile``) in the context. With a remote context, a relative path is in it."""
    contexts: tuple[tuple[str, str], ...] = ()
    """(name, value) of named contexts, names as `builder.request.names.context_name` spells them."""
    ignore_file: Path | None = None
    """Used instead of the ignore files of the Dockerfile and the context."""

    def __post_init__(self) -> None:
        checks.types(self)
        if self.contexts:
            from pybuild.builder.request.names import check_contexts

            check_contexts(self.contexts)


@frozen
class Planning:
    """Everything besides the Dockerfile that changes the graph of steps. A remembered plan is found by all of it."""

    build_args: tuple[tuple[str, str], ...] = ()
    target: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    platform: str | None = None
    network: str = "default"
    add_hosts: tuple[tuple[str, str], ...] = ()
    """(name, address)."""
    allow: frozenset[str] = frozenset()
    """Entitlements that steps may use: ``security.insecure`` and ``network.host``."""
    environment: tuple[tuple[str, str], ...] = ()
    """Variables that are added to every base."""
    unset_env: tuple[str, ...] = ()
    unset_labels: tuple[str, ...] = ()
    """Variables and labels that are removed from the image, wherever they come from."""

    def __post_init__(self) -> None:
        checks.types(self)
        checks.variables("--build-arg", self.build_args)
        checks.variables("--env", self.environment)
        checks.variables("--label", self.labels)
        checks.network(self.network)
        if self.add_hosts or self.allow:
            from pybuild.builder.request.names import check_entitlements, check_hosts

            check_hosts(self.add_hosts)
            check_entitlements(self.allow)
        checks.platforms(() if self.platform is None else (self.platform,))


@frozen
class Execution:
    """How steps are executed: everything besides the steps and their inputs."""

    compression: Compression = Compression()
    source_date_epoch: int | None = None
    """Seconds since 1970: no file of a new layer has a later time."""
    secrets: tuple[Secret, ...] = ()
    ssh: tuple[tuple[str, Path], ...] = ()
    """(id, socket of an agent)."""
    resources: Resources = Resources()
    volumes: tuple[Volume, ...] = ()
    rights: Rights = Rights()
    resolv_conf: str = ""
    """The content of /etc/resolv.conf in steps; "" for the host's."""
    jobs: int | None = None
    """The maximum number of steps that run at the same time, None for no limit."""
    timeout: float | None = None
    """Seconds that the whole build may take. In a program that embeds pybuild, as with `Cancel`, an attempt to connect
    to a server is not cut short; it takes 10 seconds at most."""
    step_timeout: float | None = None
    """Seconds that the command of a RUN may take. What it waits for before it starts does not count."""

    def __post_init__(self) -> None:
        checks.types(self)
        checks.epoch("--source-date-epoch", self.source_date_epoch)
        checks.positive("jobs", self.jobs)
        checks.timeout("--timeout", self.timeout)
        checks.timeout("--step-timeout", self.step_timeout)


@frozen
class Result:
    """The images to make, and where they are written."""

    tags: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    """Several targets of one build, in place of the target to plan and of *tags*."""
    platforms: tuple[str, ...] = ()
    """Several platforms: an image for each of them, and an index. Empty for the image of one platform alone."""
    annotations: tuple[Annotation, ...] = ()
    outputs: tuple[Output, ...] = ()
    stored: Stored = Stored()
    squash: str = ""
    """``new``: one layer for everything above the base; ``all``: one for the whole image."""

    def __post_init__(self) -> None:
        checks.types(self)
        checks.tags(self.tags)
        checks.targets(self.targets)
        checks.platforms(self.platforms)
        checks.squash(self.squash)


@frozen
class Caches:
    """The earlier results that may be used, and those to keep for later builds."""

    no_cache: bool = False
    no_cache_filter: tuple[str, ...] = ()
    """Stages whose steps are executed although they are cached."""
    cache_ttl: float | None = None
    """Seconds after which a cached layer is not used; None is no limit."""
    pull: str = "missing"
    """When registries are asked for bases: ``missing``, ``always``, ``never``, or ``newer``: always, if they answer."""
    cache_from: tuple[CacheSpec, ...] = ()
    cache_to: tuple[CacheSpec, ...] = ()

    def __post_init__(self) -> None:
        checks.types(self)
        checks.pull(self.pull)
        checks.duration(self.cache_ttl)
        checks.written(self.cache_to)


if TYPE_CHECKING:
    # For type checkers: the fields of all parts are the keywords of `Request.of`, and none of them must be given to
    # `Request.changed` and `changes`.

    @frozen
    class _Every(Files, Planning, Execution, Result, Caches): ...

    @frozen
    class _Some(Files, Planning, Execution, Result, Caches):
        context: Path | str = ""

else:
    _Every = _Some = None


def _function_of(
    _kind: Callable[_Keywords, object],
) -> Callable[[Callable[..., _Result]], Callable[_Keywords, _Result]]:
    """Return a decorator: for type checkers the function takes the keywords of *_kind*."""
    return lambda function: function


def _method_of(
    _kind: Callable[_Keywords, object],
) -> Callable[[Callable[Concatenate[_Self, ...], _Result]], Callable[Concatenate[_Self, _Keywords], _Result]]:
    """Return a decorator: for type checkers the method takes the keywords of *_kind*."""
    return lambda method: method


Changes = Mapping[str, Any]
"""Fields of a request, as `changes` returns them."""


@_function_of(_Some)
def changes(**given: Any) -> Changes:
    """Return these fields as keywords for `Request.of` and `Request.changed`."""
    return given


@frozen
class Request:
    """A build, in parts. `of` and `changed` take the fields of all of them.

    Nothing is read before the build:

        request = pybuild.Request.of(context=Path("."), tags=("app:1",), build_args=(("VERSION", "3"),))
        again = request.changed(no_cache=True)
    """

    files: Files
    planning: Planning = Planning()
    execution: Execution = Execution()
    result: Result = Result()
    caches: Caches = Caches()

    def __post_init__(self) -> None:
        checks.types(self)

    @classmethod
    @_method_of(_Every)
    def of(cls, **given: Any) -> "Request":
        """Return the request with these fields, each in the part that has one of this name.

            Request.of(context=Path("."), tags=("app:1",), network="none")

        Raises:
            RequestError: a value has the wrong type or is invalid.
            TypeError: no part has a field of this name, or there is no context.
        """
        left: dict[str, Any] = dict(given)
        parts = {name: kind(**_take(kind, left)) for name, kind in _PARTS.items()}
        if left:
            raise TypeError(f"no such field of a request: {', '.join(sorted(left))}")
        return cls(**parts)

    @_method_of(_Some)
    def changed(self, **given: Any) -> "Request":
        """Return this request with other values of some fields; errors are those of `of`."""
        own = {part.name: getattr(self, part.name) for part in fields(self)}
        left: dict[str, Any] = dict(given)
        parts = {name: replace(part, **taken) for name, part in own.items() if (taken := _take(type(part), left))}
        if left:
            raise TypeError(f"no such field of a request: {', '.join(sorted(left))}")
        return replace(self, **parts)


_PARTS: dict[str, Any] = {part.name: part.type for part in fields(Request)}


def _take(kind: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Remove the fields of *kind* from *given*, and return them."""
    return {each.name: given.pop(each.name) for each in fields(kind) if each.name in given}

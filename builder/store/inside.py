"""Work on unpacked images, which only root can do: here when this process is root, else by the worker.

A tree has files of many owners. So whoever is not root works on them in a user namespace, where it is; this process
stays where it is, and hands over functions (`runtime.worker`).
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from pybuild.builder.interrupts import Interrupts
from pybuild.builder.store.directory import has_trees
from pybuild.builder.store.store import Store
from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.sandbox.isolation import USERNS, is_direct, refused, wanted

if TYPE_CHECKING:
    from pybuild.builder.store.registries import RegistryAccess

Tell = Callable[[Any], None]
"""Takes what a function tells while it runs: events of a build, or values of its own."""
_P = ParamSpec("_P")
_T = TypeVar("_T")


class _Opening(NamedTuple):
    """How the same store is opened in another process."""

    root: Path
    registries: "RegistryAccess | None"
    passed_over: frozenset[str]


class _Said(NamedTuple):
    """What a user should know of the store."""

    text: str


def inside(
    function: Callable[Concatenate[Store, Tell, _P], _T],
    store: Store,
    tell: Tell,
    *arguments: _P.args,
    **options: _P.kwargs,
) -> _T:
    """Return ``function(store, tell, *arguments)``, called where trees can be worked on.

    *function* is one of a module. Arguments, events and the result may cross to another process: they are values.
    """
    return inside_with((), function, store, tell, *arguments, **options)


def inside_with(
    descriptors: tuple[int, ...],
    function: Callable[Concatenate[Store, Tell, _P], _T],
    store: Store,
    tell: Tell,
    *arguments: _P.args,
    **options: _P.kwargs,
) -> _T:
    """Do the same for a function that reads ``/proc/self/fd/N`` for each N of *descriptors*."""
    return inside_of(-1, descriptors, function, store, tell, *arguments, **options)


def inside_of(
    namespace: int,
    descriptors: tuple[int, ...],
    function: Callable[Concatenate[Store, Tell, _P], _T],
    store: Store,
    tell: Tell,
    *arguments: _P.args,
    **options: _P.kwargs,
) -> _T:
    """Do the same as root of the open user namespace *namespace*, -1 for one of this process's own."""
    if is_direct() or (namespace < 0 and not _has_worker()):
        return function(store, tell, *arguments, **options)
    from pybuild.runtime.worker.client import call

    def listen(event: Any) -> None:
        if isinstance(event, _Said):
            store.tell(event.text)
        else:
            tell(event)

    opening = _Opening(store.root, store.registries, frozenset(store.passed_over))
    result: _T = call(
        *(_carry_out, opening, function, arguments, options),
        listener=listen,
        descriptors=descriptors,
        namespace=namespace,
    )
    return result


def _has_worker() -> bool:
    """Return whether a user namespace could be made; a root that cannot is left to do without."""
    from pybuild.runtime.worker.client import start

    try:
        start()
    except SandboxUnavailable as error:
        if os.geteuid() != 0 or wanted() == USERNS:
            raise
        refused(error)
        return False
    return True


def among_trees(
    function: Callable[Concatenate[Store, Tell, _P], _T],
    store: Store,
    tell: Tell,
    *arguments: _P.args,
    **options: _P.kwargs,
) -> _T:
    """Do the same for a function that measures and removes: where nothing is unpacked, anybody can do that."""
    if not has_trees(store.root):
        return function(store, tell, *arguments, **options)
    return inside(function, store, tell, *arguments, **options)


def _carry_out(
    tell: Tell,
    opening: _Opening,
    function: Callable[..., _T],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
) -> _T:
    """Run the call, in the worker."""
    # Root has another default, and the programs that are started from here use the store as well.
    os.environ["PYBUILD_ROOT"] = os.fspath(opening.root)
    with Interrupts(), Store.open(opening.root, opening.registries) as store:
        store.passed_over.update(opening.passed_over)
        store.hear(lambda text: tell(_Said(text)))
        return function(store, tell, *arguments, **options)

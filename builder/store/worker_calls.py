"""Calling functions that work on unpacked images: in this process if it is root, else in the worker.

The files of an image have many owners, so an ordinary user can work on them only as root of a user namespace. This
process never enters one. It sends calls to the worker (`runtime.worker`), which is in one.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from pybuild.builder.interrupts import Interrupts
from pybuild.builder.store.directory import has_trees
from pybuild.builder.store.store import Store
from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.sandbox.isolation import USERNS, is_direct, note_refused, wanted

if TYPE_CHECKING:
    from pybuild.builder.store.registries import RegistryAccess

SendEvent = Callable[[Any], None]
"""Receives the events of a function while it runs: those of a build, or values of another type."""
_OF_BUILDS = ("pybuild.builder.build", "pybuild.builder.execute.run")
"""What steps need: loaded by the worker while the first call is on its way."""
_P = ParamSpec("_P")
_T = TypeVar("_T")


class _Opening(NamedTuple):
    """The arguments that open the same store in another process."""

    root: Path
    registries: "RegistryAccess | None"
    passed_over: frozenset[str]


class _Said(NamedTuple):
    """A message of the store for the user."""

    text: str


class WorkerAccess(NamedTuple):
    """How functions are called that work on unpacked images: with which store, and what they are given besides."""

    store: Store
    send_event: SendEvent
    descriptors: tuple[int, ...] = ()
    """They have the same numbers in the worker, which opens them as ``/proc/self/fd/N``."""
    namespace: int = -1
    """A descriptor of the user namespace that the worker enters, -1 for a new one."""

    def call(
        self,
        function: Callable[Concatenate[Store, SendEvent, _P], _T],
        *arguments: _P.args,
        **options: _P.kwargs,
    ) -> _T:
        """Return ``function(store, send_event, *arguments, **options)``, called here or in the worker.

        *function* is a function of a module, and its arguments, events and result can be pickled.
        """
        modules = (*(_OF_BUILDS if function.__module__ in _OF_BUILDS else ()), function.__module__)
        if is_direct() or (self.namespace < 0 and not _has_worker(modules)):
            return function(self.store, self.send_event, *arguments, **options)
        from pybuild.runtime.worker.client import call

        opening = _Opening(self.store.root, self.store.registries, frozenset(self.store.passed_over))
        result: _T = call(
            *(_carry_out, opening, function, arguments, options),
            listener=self._receive,
            descriptors=self.descriptors,
            namespace=self.namespace,
            modules=modules,
        )
        return result

    def _receive(self, event: Any) -> None:
        if isinstance(event, _Said):
            self.store.tell(event.text)
        else:
            self.send_event(event)


def call_in_worker(
    function: Callable[Concatenate[Store, SendEvent, _P], _T],
    store: Store,
    send_event: SendEvent,
    *arguments: _P.args,
    **options: _P.kwargs,
) -> _T:
    """Call *function* as `WorkerAccess.call` does, without descriptors."""
    return WorkerAccess(store, send_event).call(function, *arguments, **options)


def call_in_worker_if_unpacked(
    function: Callable[Concatenate[Store, SendEvent, _P], _T],
    store: Store,
    send_event: SendEvent,
    *arguments: _P.args,
    **options: _P.kwargs,
) -> _T:
    """Call *function* as `call_in_worker` does if the store has trees, else in this process.

    For functions that measure or remove data, which every user may do as long as nothing is unpacked.
    """
    if not has_trees(store.root):
        return function(store, send_event, *arguments, **options)
    return call_in_worker(function, store, send_event, *arguments, **options)


def _has_worker(modules: tuple[str, ...]) -> bool:
    """Start the worker; return whether that worked. Root, which may do without one, gets False instead of an error."""
    from pybuild.runtime.worker.client import start

    try:
        start(modules)
    except SandboxUnavailable as error:
        if os.geteuid() != 0 or wanted() == USERNS:
            raise
        note_refused(error)
        return False
    return True


def _carry_out(
    send_event: SendEvent,
    opening: _Opening,
    function: Callable[..., _T],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
) -> _T:
    """Call *function* in the worker."""
    # The default root of the store is another one for root, and programs that are started here use the same store.
    os.environ["PYBUILD_ROOT"] = os.fspath(opening.root)
    with Interrupts(), Store.open(opening.root, opening.registries) as store:
        store.passed_over.update(opening.passed_over)
        store.hear(lambda text: send_event(_Said(text)))
        return function(store, send_event, *arguments, **options)

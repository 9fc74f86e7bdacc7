"""Solving a plan: each vertex from the cache or by running it, independent ones at the same time.

Three passes over the plan. *Keys*: compute the key of each vertex as far as that is possible without running anything.
*Needs*: from the target down, a vertex whose key has a record is satisfied, and what only it needs is not looked at.
*Run*: the rest in order of their inputs; a vertex whose key was not known gets it now, and may still turn out to be in
the cache. A key that two builds need at once is worked on by one of them; the other waits and takes the record.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from builder.cache import BuiltLayer, Layers
from builder.contents import Contents, Selected
from builder.context import Sources
from builder.errors import BuildError, Cancelled, StepFailed
from builder.finished import Finished
from builder.freshness import FirstTimes, is_young, to_run, unsettled
from builder.keys import is_independent, key, own_key, picks
from builder.machine import Machine
from builder.oci.digest import Digest
from builder.ops import Base, Local, Op, Scratch
from builder.plan import Plan
from builder.request import Request
from builder.steps import Reporter, Steps
from runtime.values import frozen

Executor = Callable[[Op, Any], BuiltLayer]
"""Carries out one op with a `builder.execute.Job` and returns its layer."""


@frozen
class Solved:
    """What solving gives: the layers of the target, and the keys of all vertices that have one."""

    layers: Layers
    finished: Finished


def solve(
    plan: Plan, request: Request, machine: Machine, reporter: Reporter, execute: Executor | None = None
) -> Layers:
    """Return the layers of the target; see `solve_with_keys`."""
    return solve_with_keys(plan, request, machine, reporter, execute).layers


def solve_with_keys(
    plan: Plan, request: Request, machine: Machine, reporter: Reporter, execute: Executor | None = None
) -> Solved:
    """Solve the target; *execute* carries out one op, `builder.execute.execute` by default.

    Raises:
        StepFailed: a step did not succeed; what was finished before is in the cache.
        Cancelled: a KeyboardInterrupt came; the steps that were running have been stopped.
    """
    return solve_all(plan, (len(plan.vertices) - 1,), request, machine, reporter, execute=execute)[0]


def solve_all(
    plan: Plan,
    targets: tuple[int, ...],
    request: Request,
    machine: Machine,
    reporter: Reporter,
    *,
    execute: Executor | None = None,
) -> tuple[Solved, ...]:
    """Solve each of *targets*, which are places in the plan; see `solve_with_keys`."""
    cancel = threading.Event()
    with Sources(request, machine, cancel.is_set) as sources:
        steps = Steps(plan, reporter)
        solver = _Solver(plan, request, machine, steps=steps, sources=sources, cancel=cancel)
        solver.execute = execute
        try:
            layers = solver.solve(targets)
            finished = Finished(plan=plan, targets=(), keys=solver.keys, own_keys=solver.own_keys())
            return tuple(
                Solved(layers=own, finished=replace(finished, targets=(target,)))
                for own, target in zip(layers, targets, strict=True)
            )
        except KeyboardInterrupt:
            raise Cancelled("the build was interrupted") from None


class _Solver:
    def __init__(
        self,
        plan: Plan,
        request: Request,
        machine: Machine,
        *,
        steps: Steps,
        sources: Sources,
        cancel: threading.Event,
    ) -> None:
        self.plan, self.request, self.machine = plan, request, machine
        self.steps, self.sources, self.cancel = steps, sources, cancel
        self.contents = Contents(plan, machine, sources)
        self.keys: dict[int, Digest] = {}
        self.known: dict[int, tuple[Digest, ...]] = {}
        """What vertices select, as far as it was known before anything ran, or turned out when they were solved."""
        self.to_run = to_run(plan, request)
        self.fresh_mounts = FirstTimes()
        self.unsettled = unsettled(plan, self.to_run)
        self.made: set[int] = set()
        """Vertices whose layer is there, and is the same on any root (`keys.own_key`)."""
        self.results: dict[int, Layers] = {}
        self._bases: dict[Base, Layers] = {}
        self.execute: Executor | None = None

    def solve(self, targets: tuple[int, ...]) -> tuple[Layers, ...]:
        self._early_keys()
        needed = self._needs(targets)
        self.contents.keep_only(needed)
        for place in range(len(self.plan.vertices)):
            if place not in needed and not isinstance(self.plan.vertices[place].op, Local):
                self.steps.cached(place)
        self._run(needed)
        return tuple(self.results[target] for target in targets)

    def _early_keys(self) -> None:
        """Compute the keys that follow from the plan, the context and what the cache knows of earlier builds."""
        for place, vertex in enumerate(self.plan.vertices):
            rooted = not vertex.inputs or vertex.inputs[0] in self.keys
            if isinstance(vertex.op, Local) or not (rooted or is_independent(vertex.op)):
                continue
            contents = self._known_contents(place)
            if contents is None:
                continue
            self.known[place] = contents
            if rooted:
                self.keys[place] = self._key(place, contents)

    def _key(self, place: int, contents: tuple[Digest, ...]) -> Digest:
        """Return the key of a vertex; that of its root file system is known."""
        inputs = self.plan.vertices[place].inputs
        root = self.keys[inputs[0]] if inputs else None
        return key(self.plan.vertices[place].op, root, contents, self.request.source_date_epoch)

    def _own_key(self, place: int, contents: tuple[Digest, ...]) -> Digest | None:
        return own_key(self.plan.vertices[place].op, contents, self.request.source_date_epoch)

    def own_keys(self) -> dict[int, Digest]:
        """Return the own key of each vertex that has one and whose selections are known."""
        found = {place: self._own_key(place, contents) for place, contents in self.known.items()}
        return {place: own for place, own in found.items() if own is not None}

    def _known_contents(self, place: int) -> tuple[Digest, ...] | None:
        """Return the digests of what a vertex selects, None when one of them is not known yet."""
        vertex = self.plan.vertices[place]
        found = []
        for number in range(len(picks(vertex.op))):
            source = vertex.inputs[picks(vertex.op)[number].input]
            if isinstance(self.plan.vertices[source].op, Local):
                content = self._context_content(place, number, source)
            else:
                content = self.contents.remembered(place, number, self.keys.get(source))
            if content is None:
                return None
            found.append(content)
        return tuple(found)

    def _context_content(self, place: int, number: int, source: int) -> Digest | None:
        """Return what a vertex selects from the context; a path that is missing there is the fault of the vertex."""
        with self.steps.running(source):
            try:
                return self.contents.of_context(place, number)
            except BuildError as error:
                raise self.steps.failed(place, error) from error

    def _needs(self, targets: tuple[int, ...]) -> set[int]:
        """Return the vertices that must be run, or at least looked at again when their inputs are there.

        Layers of a base come with it, even when what stands on the base came from the cache: they are unpacked below
        what runs, and they are part of the image.
        """
        needed: set[int] = set()
        waiting = [place for target in targets for place in (target, self._base_of(target))]
        while waiting:
            place = waiting.pop()
            vertex = self.plan.vertices[place]
            if place in needed or isinstance(vertex.op, Local) or self._satisfied(place):
                continue
            needed.add(place)
            if place in self.known and place not in self.unsettled and self._own_layer(place, self.known[place]):
                self.made.add(place)
            waiting.extend(self._waits_for(place))
        return needed

    def _waits_for(self, place: int) -> tuple[int, ...]:
        """Return the inputs that *place* needs: a layer that is made already needs only the root to stand on."""
        inputs = self.plan.vertices[place].inputs
        inputs = inputs[:1] if place in self.made else inputs
        return (*inputs, *(self._base_of(source) for source in inputs))

    def _base_of(self, place: int) -> int:
        """Return the vertex that the root file system of *place* began with."""
        while self.plan.vertices[place].inputs:
            place = self.plan.vertices[place].inputs[0]
        return place

    def _satisfied(self, place: int) -> bool:
        """Tell whether a vertex needs no work; its result is known then."""
        if place in self.results:
            return True
        op = self.plan.vertices[place].op
        if isinstance(op, Scratch):
            self.results[place] = ()
        elif isinstance(op, Base):
            layers = self._base_layers(op)
            if not all(self.machine.blobs.has(layer.descriptor) for layer in layers):
                return False
            self.results[place] = layers
        elif place in self.unsettled or place not in self.keys or not self._recorded(place):
            return False
        return True

    def _base_layers(self, op: Base) -> Layers:
        from builder.bases import base_layers

        if op not in self._bases:
            self._bases[op] = base_layers(op, self.machine)
        return self._bases[op]

    def _recorded(self, place: int) -> bool:
        """Take the result of a vertex from the cache, when it is there with all blobs that this store made."""
        layers = self._usable(self.keys[place])
        if layers is None:
            return False
        self.results[place] = self._on_this_base(place, layers)
        return True

    def _usable(self, wanted: Digest) -> Layers | None:
        layers = self.machine.cache.record(wanted)
        if layers is None or not self._counts(layers):
            layers = self.machine.cache.brought(wanted)
            if layers is None or not self._counts(layers):
                return None
        self.machine.cache.touch(wanted)
        return layers

    def _counts(self, layers: Layers) -> bool:
        there = all(self.machine.blobs.has(layer.descriptor) for layer in layers if layer.created)
        return there and is_young(layers, self.request.cache_ttl)

    def _own_layer(self, place: int, contents: tuple[Digest, ...]) -> Layers | None:
        """Return the layer that is recorded under its own key: it goes on any root."""
        own = self._own_key(place, contents)
        return None if own is None or place in self.to_run else self._usable(own)

    def _on_this_base(self, place: int, layers: Layers) -> Layers:
        """Return *layers* with the blobs that the base has now: it may have been compressed anew since the record."""
        op = self.plan.vertices[self._base_of(place)].op
        below = self._base_layers(op) if isinstance(op, Base) else ()
        return (*below, *layers[len(below) :])

    def _run(self, needed: set[int]) -> None:
        if needed:
            from builder.schedule import run_in_order

            waits_for = {place: needed.intersection(self._waits_for(place)) for place in needed}
            run_in_order(waits_for, self._solve_one, self.cancel)

    def _solve_one(self, place: int) -> None:
        """Give one vertex its result. Runs in a worker; its inputs are solved."""
        vertex = self.plan.vertices[place]
        if self.cancel.is_set():
            raise Cancelled("cancelled")
        if isinstance(vertex.op, Base):
            self._pull(place, vertex.op)
            return
        if place in self.made and self._stacked(place, self.known[place]):
            return
        with ExitStack() as stack:
            try:
                selected = self.contents.open(place, self.results, self.keys, stack)
            except BuildError as error:
                if isinstance(error, StepFailed | Cancelled):
                    raise
                raise self.steps.failed(place, error) from error
            # What the inputs turned out to hold counts, not what an earlier build remembered of them.
            contents = self.known[place] = tuple(item.content for item in selected)
            self.keys[place] = self._key(place, contents)
            own = self._own_key(place, contents)
            stack.enter_context(self.machine.locks.exclusive(str(own or self.keys[place]), self.cancel.is_set))
            if place not in self.to_run and self._recorded(place):
                self.steps.cached(place)
                return
            if self._stacked(place, contents):
                return
            layer = self._executed(place, selected)
            if own is not None:
                self.machine.cache.put_record(own, (layer,))
            self._keep(place, (layer,))

    def _executed(self, place: int, selected: tuple[Selected, ...]) -> BuiltLayer:
        from builder.execute import Job, execute

        vertex = self.plan.vertices[place]
        with self.steps.running(place):
            job = Job(
                machine=self.machine,
                request=self.request,
                root=self._root(place),
                inputs=tuple(self.results.get(source) for source in vertex.inputs),
                selected=selected,
                output=self.steps.output(place),
                status=self.steps.status(place),
                cancel=self.cancel,
                fresh_mounts=self.fresh_mounts if place in self.to_run else None,
            )
            return (self.execute or execute)(vertex.op, job)

    def _stacked(self, place: int, contents: tuple[Digest, ...]) -> bool:
        """Put the layer that a vertex has on every root on top of this one; tell whether it was there."""
        layers = self._own_layer(place, contents)
        if layers is None:
            return False
        self.keys[place] = self._key(place, contents)
        self._keep(place, layers)
        self.steps.cached(place)
        return True

    def _root(self, place: int) -> Layers:
        inputs = self.plan.vertices[place].inputs
        return self.results[inputs[0]] if inputs else ()

    def _keep(self, place: int, layers: Layers) -> None:
        """Record *layers* on top of the root of a vertex as its result."""
        self.results[place] = (*self._root(place), *layers)
        self.machine.cache.put_record(self.keys[place], self.results[place])

    def _pull(self, place: int, op: Base) -> None:
        from builder.bases import pull_layers

        with self.steps.running(place):
            pull_layers(op, self.machine, self.steps.status(place), self.cancel)
        self.results[place] = self._base_layers(op)

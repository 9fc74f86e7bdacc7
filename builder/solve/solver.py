"""Solving a plan: finding the layer of each vertex in the cache, or executing the vertex.

Solving makes three passes over the plan:

1. Compute the key of each vertex, as far as keys follow without executing anything.
2. Go from the targets down, and collect the vertices that are not cached. The inputs of a cached vertex are skipped.
3. Execute the collected vertices in the order of their inputs (`executing`). A vertex whose key depends on the output
   of its inputs gets its key then, and may still be found in the cache.
"""

import threading

from pybuild.builder.content.context import Sources
from pybuild.builder.content.selections import Selections
from pybuild.builder.errors import Cancelled
from pybuild.builder.plan.ops import Local
from pybuild.builder.plan.plan import Finished, Graph
from pybuild.builder.reporter import Reporter, Steps
from pybuild.builder.request import Caches, Execution, Files
from pybuild.builder.solve.keys import VertexKeys
from pybuild.builder.solve.lookup import Executor, Freshness, Lookup, Uncached
from pybuild.builder.store.cache import Layers
from pybuild.builder.store.store import Store
from pybuild.runtime.values import frozen


@frozen
class SolveSettings:
    """The parts of a request that solving depends on."""

    files: Files
    execution: Execution
    caches: Caches


@frozen
class Solved:
    """The result of solving: the layers of each target, in the order of the targets, and the plan with its keys."""

    layers: tuple[Layers, ...]
    finished: Finished


def solve(
    graph: Graph, settings: SolveSettings, store: Store, reporter: Reporter, execute: Executor | None = None
) -> Solved:
    """Solve the targets of *graph*. *execute* executes a `Work`; the default is `builder.execute.ops.execute`.

    Raises:
        TreesNeeded: the build needs unpacked layers, and this process is not root.
        StepFailed: a step failed. Finished steps stay in the cache.
        Cancelled: the user interrupted the build. Running steps have been stopped.
    """
    cancel = threading.Event()
    plan, execution = graph.plan, settings.execution
    with Sources(settings.files, store, cancel.is_set) as sources:
        steps, selections = Steps(plan, reporter), Selections(plan, store, sources)
        keys = VertexKeys(plan, selections, steps, execution.source_date_epoch)
        lookup = Lookup(plan, store, keys, Freshness(plan, settings.caches))
        try:
            keys.compute()
            uncached = _uncached(lookup, graph.targets)
            selections.keep_only(uncached.waits_for.keys())
            _report_cached(lookup, uncached, steps)
            if uncached.waits_for:
                # Imported here: an unchanged build executes nothing.
                from pybuild.builder.solve.executing import Executing

                executing = Executing(lookup, selections, steps, execution, cancel)
                executing.run(uncached, graph.targets, execute)
        except KeyboardInterrupt:
            raise Cancelled("the build was interrupted") from None
    layers = tuple(lookup.solved[target] for target in graph.targets)
    finished = Finished(plan=plan, targets=graph.targets, keys=keys.by_index, own_keys=keys.all_own())
    return Solved(layers=layers, finished=finished)


def _uncached(lookup: Lookup, targets: tuple[int, ...]) -> Uncached:
    """Return the vertices that are not cached, from *targets* down.

    The base of a cached vertex is needed, too: its layers are part of the image, so they are pulled when they are
    missing, and what is executed on top unpacks them.
    """
    waits_for: dict[int, tuple[int, ...]] = {}
    independent: set[int] = set()
    waiting = [index for target in targets for index in (target, lookup.base_of(target))]
    while waiting:
        index = waiting.pop()
        vertex = lookup.plan.vertices[index]
        if index in waits_for or isinstance(vertex.op, Local) or lookup.find(index) is not None:
            continue
        inputs = vertex.inputs
        if lookup.independent_layer(index) is not None:
            independent.add(index)
            inputs = inputs[:1]  # the rootfs: the layer is there, so what it was copied from is not needed
        waits_for[index] = (*inputs, *(lookup.base_of(source) for source in inputs))
        waiting.extend(waits_for[index])
    return Uncached(waits_for=waits_for, independent=frozenset(independent))


def _report_cached(lookup: Lookup, uncached: Uncached, steps: Steps) -> None:
    for index, vertex in enumerate(lookup.plan.vertices):
        if index not in uncached.waits_for and not isinstance(vertex.op, Local):
            steps.report_cached(index, lookup.layer_of(index))

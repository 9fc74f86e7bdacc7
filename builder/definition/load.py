"""The Dockerfile of a build with a remote context: the context is fetched first, and the file is read from it.

The vertex that fetches the context is the same as in the plan later, so the work is done once.
"""

import os
from pathlib import Path

from pybuild.builder.dockerfile import DEFAULT_NAMES, LIMIT, decode_dockerfile, not_found, read_dockerfile
from pybuild.builder.errors import RequestError
from pybuild.builder.plan.ops import Git, Http
from pybuild.builder.plan.plan import Definition
from pybuild.builder.progress import Progress
from pybuild.builder.request import Caches, Files, Planning
from pybuild.builder.sources.pins import Remotes
from pybuild.builder.store.cache import Layers
from pybuild.builder.store.store import Store
from pybuild.runtime.errors import UnsafePathError
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.values import replace


def load_definition(files: Files, planning: Planning, remotes: Remotes, caches: Caches) -> Definition:
    """Read the Dockerfile, wherever the context is; *planning* decides how a remote one is fetched.

    Raises:
        BuildError: the context cannot be fetched, or has no Dockerfile.
    """
    path = files.dockerfile
    name = f"[internal] load build definition from {'Dockerfile' if path is None else path.name}"
    if isinstance(files.context, Path) or (path is not None and path.is_absolute()):
        with remotes.reporter.step(name):
            return read_dockerfile(files)
    from pybuild.builder.stages.contexts import remote_context
    from pybuild.builder.store.worker_calls import call_in_worker

    source = remote_context(files.context, planning).source
    op = remotes.pin(source)
    layers = fetch_remote_tree(
        op, f"[internal] load git source {source.label}" if isinstance(op, Git) else source.label, remotes, caches
    )
    with remotes.reporter.step(name):
        return call_in_worker(_read_unpacked, remotes.store, remotes.reporter.progress, layers, path, source.label)


def _read_unpacked(store: Store, _progress: Progress, layers: Layers, path: Path | None, where: str) -> Definition:
    with store.in_use(), Root(store.trees.open(layers)) as root:
        return _read(root, path, where)


def fetch_remote_tree(op: Http | Git, name: str, remotes: Remotes, caches: Caches) -> Layers:
    """Fetch the pinned source *op* in a step called *name*, and return its layers."""
    from pybuild.builder.plan.plan import Graph, Plan
    from pybuild.builder.solve.solver import SolveSettings, solve
    from pybuild.builder.sources.tree import tree_vertices

    settings = SolveSettings(
        files=Files(context=Path(os.devnull)),  # nothing of the host is read
        execution=remotes.execution,
        # Pinned content is the same however often it is fetched, so --no-cache does not apply here.
        caches=replace(caches, no_cache=False),
    )
    graph = Graph.of(Plan(vertices=tree_vertices(op, name)))
    return solve(graph, settings, remotes.store, remotes.reporter).layers[0]


def _read(root: Root, path: Path | None, where: str) -> Definition:
    names = [entry.name for entry in root.scan()]
    # A file that is not an archive is the Dockerfile: see `builder.sources.address.parse_context`.
    wanted = ["context"] if names == ["context"] else [str(path)] if path else list(DEFAULT_NAMES)
    for name in wanted:
        try:
            content = root.read_file(name, LIMIT)
        except UnsafePathError as error:
            raise RequestError(f"failed to read dockerfile: {error}") from error
        if content is not None:
            return decode_dockerfile("Dockerfile" if name == "context" else Path(name).name, content)
    raise not_found(wanted[0], f"there is none in {where}; name another one with -f")

"""The Dockerfile of a build with a remote context: the context is fetched first, and the file is read from it.

The vertex that fetches the context is the same as in the plan later, so the work is done once.
"""

from dataclasses import replace
from pathlib import Path

from pybuild.builder.dockerfile import LIMIT, DockerfileText, decoded, read_dockerfile
from pybuild.builder.errors import RequestError
from pybuild.builder.plan.ops import Git, Http
from pybuild.builder.progress import Progress
from pybuild.builder.request import Request
from pybuild.builder.sources.pins import Remotes
from pybuild.builder.store.cache import Layers
from pybuild.builder.store.store import Store
from pybuild.runtime.errors import UnsafePathError
from pybuild.runtime.paths.safepath import Root


def load_definition(request: Request, remotes: Remotes) -> DockerfileText:
    """Read the Dockerfile, wherever the context is.

    Raises:
        BuildError: the context cannot be fetched, or has no Dockerfile.
    """
    path = request.files.dockerfile
    if isinstance(request.files.context, Path) or (path is not None and path.is_absolute()):
        with remotes.reporter.step(_name(request)):
            return read_dockerfile(request.files)
    from pybuild.builder.stages.contexts import contexts_of
    from pybuild.builder.stages.stages import FromRemote
    from pybuild.builder.store.inside import inside

    main = contexts_of(request.files, request.planning).main
    assert isinstance(main, FromRemote)  # noqa: S101 - the context is no directory
    source = main.source
    op = remotes.pin(source)
    name = f"[internal] load git source {source.label}" if isinstance(op, Git) else source.label
    layers = remote_tree(op, name, request, remotes)
    with remotes.reporter.step(_name(request)):
        return inside(_read_unpacked, remotes.store, remotes.reporter.progress, layers, path, source.label)


def _read_unpacked(store: Store, _progress: Progress, layers: Layers, path: Path | None, where: str) -> DockerfileText:
    with store.in_use(), Root(store.snapshots.open(store.unpack(layers))) as root:
        return _read(root, path, where)


def remote_tree(op: Http | Git, name: str, request: Request, remotes: Remotes) -> Layers:
    """Fetch what a pin stands for, as the step *name*, and return its layers."""
    from pybuild.builder.plan.plan import Graph, Plan
    from pybuild.builder.solve.solver import solve
    from pybuild.builder.sources.tree import tree_vertices

    solved = solve(
        Graph.of(Plan(vertices=tree_vertices(op, name))),
        remotes.store,
        remotes.reporter,
        files=request.files,
        execution=request.execution,
        # Pinned content is the same however often it is fetched, so --no-cache does not apply here.
        caches=replace(request.caches, no_cache=False),
    )
    return solved.layers[0]


def _name(request: Request) -> str:
    name = request.files.dockerfile.name if request.files.dockerfile is not None else "Dockerfile"
    return f"[internal] load build definition from {name}"


def _read(root: Root, path: Path | None, where: str) -> DockerfileText:
    names = [entry.name for entry in root.scan()]
    # A file that is not an archive is the Dockerfile: see `builder.sources.address.parse_context`.
    wanted = ["context"] if names == ["context"] else [str(path)] if path else ["Dockerfile", "dockerfile"]
    for name in wanted:
        try:
            content = root.read_file(name, LIMIT)
        except UnsafePathError as error:
            raise RequestError(f"failed to read dockerfile: {error}") from error
        if content is not None:
            return decoded("Dockerfile" if name == "context" else Path(name).name, content)
    hint = f"there is none in {where}; name another one with -f"
    raise RequestError(f"failed to read dockerfile: open {wanted[0]}: no such file or directory", hint=hint)

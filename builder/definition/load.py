"""The Dockerfile of a build: a file of this host, or of a remote context, which is fetched first.

The vertex that fetches a remote context is the same as in the plan later, so the work is done once.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from pybuild.builder.content.context import open_context
from pybuild.builder.errors import RequestError
from pybuild.builder.plan.ops import Git, Http
from pybuild.builder.plan.plan import Definition
from pybuild.builder.progress import Progress
from pybuild.builder.request import Caches, Files, Planning
from pybuild.builder.sources.pins import Remotes
from pybuild.builder.store.cache import Layers
from pybuild.builder.store.store import Store
from pybuild.grammar import MAX_TEXT
from pybuild.runtime.errors import UnsafePathError, kernel_reason
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.values import replace

LIMIT = 4 * MAX_TEXT
"""The most bytes that are read of a Dockerfile: a character has up to four in UTF-8."""
DEFAULT_NAMES = ("Dockerfile", "dockerfile")


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
        # A file that is not an archive is the Dockerfile: see `builder.sources.address.parse_context`.
        is_file = [entry.name for entry in root.scan()] == ["context"]
        paths = ("context",) if is_file else DEFAULT_NAMES if path is None else (str(path),)
        found = _first(root, paths, "Dockerfile" if is_file else "")
    if found is None:
        raise not_found(paths[0], f"there is none in {where}; name another one with -f")
    return found


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


def read_dockerfile(files: Files) -> Definition:
    """Read the Dockerfile: the named one, else ``Dockerfile`` or ``dockerfile`` in the context.

    Raises:
        RequestError: it does not exist or cannot be read.
    """
    if files.dockerfile is not None:
        try:
            with files.dockerfile.open("rb") as file:
                content = file.read(LIMIT + 1)
        except OSError as error:
            reason = kernel_reason(error)
            raise RequestError(f"failed to read dockerfile: open {files.dockerfile}: {reason}") from error
        if len(content) > LIMIT:
            raise RequestError(f"failed to read dockerfile: {files.dockerfile}: longer than {LIMIT} bytes")
        return decode_dockerfile(files.dockerfile.name, content)
    if isinstance(files.context, str):
        raise RequestError(f"the context {files.context} is remote: only a build reads its Dockerfile")
    return _from_context(files.context)


def _from_context(context: Path) -> Definition:
    with open_context(context) as root:
        found = _first(root, DEFAULT_NAMES)
    if found is None:
        raise no_dockerfile(context, str(context), context)
    return found


def _first(root: Root, paths: Sequence[str], name: str = "") -> Definition | None:
    """Return the text of the first of *paths* that exists below *root*; *name* is shown in place of its own."""
    for path in paths:
        try:
            content = root.read_file(path, LIMIT)
        except UnsafePathError as error:
            raise RequestError(f"failed to read dockerfile: {error}") from error
        if content is not None:
            return decode_dockerfile(name or Path(path).name, content)
    return None


def no_dockerfile(context: Path, where: str, base: Path) -> RequestError:
    """Return the failure of a context without a Dockerfile. *where* names it, and -f means a path below *base*."""
    other = "Containerfile"
    meant = f"there is a {other}: give it with -f {base / other}" if (context / other).is_file() else ""
    return not_found(DEFAULT_NAMES[0], meant or f"there is no Dockerfile in {where}; name another one with -f")


def not_found(name: str, hint: str = "") -> RequestError:
    """Return Docker's error for a Dockerfile that does not exist."""
    return RequestError(f"failed to read dockerfile: open {name}: no such file or directory", hint=hint)


def decode_dockerfile(name: str, content: bytes) -> Definition:
    """Return the text of a Dockerfile; comments may be in any encoding. Raises RequestError when it is not UTF-8."""
    try:
        return Definition(name, content.decode())
    except UnicodeDecodeError:
        rows = content.split(b"\n")
        return Definition(name, "\n".join(_row(name, number, row) for number, row in enumerate(rows, 1)))


def _row(name: str, number: int, row: bytes) -> str:
    try:
        return row.decode(errors="replace" if row.lstrip().startswith(b"#") else "strict")
    except UnicodeDecodeError as error:
        hint = "save it as UTF-8; only comments may be in another encoding"
        raise RequestError(f"{name}:{number}: the Dockerfile is not valid UTF-8", hint=hint) from error

"""The Dockerfile of a build whose context is elsewhere: the context is brought first, and the file is read from it.

The context is made by the same vertex that the plan has for it later, so the work is done once.
"""

from dataclasses import replace
from pathlib import Path

from builder.dockerfile import LIMIT, DockerfileText, decoded, read_dockerfile
from builder.errors import RequestError
from builder.machine import Machine
from builder.ops import Git
from builder.plan import Plan
from builder.remote.pins import Remotes
from builder.remote.tree import tree_vertices
from builder.request import Request
from builder.solver import solve
from builder.steps import Reporter
from runtime.errors import UnsafePathError
from runtime.safepath import Root


def load_definition(request: Request, machine: Machine, remotes: Remotes, reporter: Reporter) -> DockerfileText:
    """Read the Dockerfile, wherever the context is.

    Raises:
        BuildError: the context cannot be brought, or has no Dockerfile.
    """
    path = request.dockerfile
    if isinstance(request.context, Path) or (path is not None and path.is_absolute()):
        with reporter.step(_name(request)):
            return read_dockerfile(request)
    from builder.named import contexts_of
    from builder.stages import FromRemote

    main = contexts_of(request).main
    assert isinstance(main, FromRemote)  # noqa: S101 - the context is no folder
    source = main.source
    op = remotes.pin(source)
    name = f"[internal] load git source {source.label}" if isinstance(op, Git) else source.label
    # What is pinned is the same however often it is brought: --no-cache is for the build itself.
    layers = solve(Plan(vertices=tree_vertices(op, name)), replace(request, no_cache=False), machine, reporter)
    with reporter.step(_name(request)), Root(machine.snapshots.open(machine.unpack(layers))) as root:
        return _read(root, path, source.label)


def _name(request: Request) -> str:
    name = request.dockerfile.name if request.dockerfile is not None else "Dockerfile"
    return f"[internal] load build definition from {name}"


def _read(root: Root, path: Path | None, where: str) -> DockerfileText:
    names = [entry.name for entry in root.scan()]
    # What is no archive is a Dockerfile: see `builder.remote.address.parse_context`.
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

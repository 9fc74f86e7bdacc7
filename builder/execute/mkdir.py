"""WORKDIR: a layer with a directory and its parents."""

import time

from pybuild.builder.content.trees import NodeKind
from pybuild.builder.errors import BuildError
from pybuild.builder.execute.job import Work
from pybuild.builder.execute.owner import owner_of
from pybuild.builder.execute.tree_writer import TreeWriter
from pybuild.builder.oci.layers.layer import Layer
from pybuild.builder.plan.ops import Mkdir

_HINT = "something that is not a directory has this path"


def mkdir(op: Mkdir, work: Work) -> Layer:
    """Write the layer with the directory ``op.path`` and its missing parents; it is empty when the directory exists.

    Raises:
        BuildError: there is something at the path, or above it, that is not a directory.
    """
    owner = owner_of(op.user, work) if op.user else None
    with work.tree() as tree, work.writer() as layer:
        writer = TreeWriter(layer=layer, tree=tree, owner=owner, now_ns=time.time_ns())
        path, node = writer.resolve(op.path.lstrip("/"))
        if node is None:
            _check_above(writer, path)
            writer.add_directory(path)
        elif node.kind != NodeKind.DIRECTORY:
            raise BuildError(f"mkdir /{path}: not a directory", hint=_HINT)
        return layer.commit()


def _check_above(writer: TreeWriter, path: str) -> None:
    """Raise BuildError when a parent of *path*, which does not exist, is not a directory."""
    above = ""
    # From the top: below the first missing directory nothing exists.
    for name in path.split("/")[:-1]:
        above = f"{above}/{name}".lstrip("/")
        node = writer.lstat(above)
        if node is None:
            return
        if node.kind != NodeKind.DIRECTORY:
            raise BuildError(f"mkdir /{path}: /{above} is not a directory", hint=_HINT)

"""A remote source as vertices of a plan; the same for the build context, named contexts and ADD."""

from pybuild.builder.plan.ops import Copy, Git, Http, Pick, Scratch
from pybuild.builder.plan.plan import Vertex

_WILDCARDS = "*?[\\"


def pick_of(op: Http | Git, number: int, *, unpack: bool = False) -> Pick:
    """Return the source that selects all of input *number*, which *op* fetches: one file, or a whole tree."""
    if isinstance(op, Git):
        return Pick(path="/", input=number)
    return Pick(path=literal(op.name), input=number, unpack=unpack)


def literal(name: str) -> str:
    """Return a pattern that matches only *name*."""
    if not any(char in _WILDCARDS for char in name):
        return name
    return "".join(f"[\\{char}]" if char in _WILDCARDS else char for char in name)


def tree_vertices(op: Http | Git, name: str, lines: tuple[int, int] = (0, 0)) -> tuple[Vertex, ...]:
    """Return the vertices that fetch *op* as a tree, which is the last of them: an archive is unpacked."""
    source = Vertex(op=op, name=name, lines=lines)
    if isinstance(op, Git):
        return (source,)
    unpacked = Copy(sources=(pick_of(op, 1, unpack=True),), destination="/")
    return (Vertex(op=Scratch()), source, Vertex(op=unpacked, inputs=(0, 1)))

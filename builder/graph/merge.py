"""Several plans as one: what two of them would both do is one vertex, so it is done once.

The steps of a plan for one platform are named after it as BuildKit does: ``[linux/arm64 build 1/3]``, and
``[linux/amd64->arm64 build 1/3]`` for a stage of another platform than the image.
"""

from collections.abc import Sequence
from dataclasses import replace

from pybuild.builder.plan import codec
from pybuild.builder.plan.ops import Local
from pybuild.builder.plan.plan import Graph, Plan, Vertex


def merge(plans: Sequence[tuple[str, Plan]]) -> Graph:
    """Merge (platform, plan) pairs. A vertex that several have keeps the name that the first one gives it."""
    if len(plans) == 1 and not plans[0][0]:
        return Graph.of(plans[0][1])
    places: dict[str, int] = {}
    vertices: list[Vertex] = []
    targets = []
    for platform, plan in plans:
        mine: list[int] = []
        for vertex in plan.vertices:
            inputs = tuple(mine[place] for place in vertex.inputs)
            identity = str(codec.digest(vertex.op, inputs))
            if identity not in places:
                places[identity] = len(vertices)
                vertices.append(replace(vertex, inputs=inputs, name=step_name(vertex, platform)))
            mine.append(places[identity])
        targets.append(mine[-1])
    return Graph(plan=Plan(vertices=tuple(vertices)), targets=tuple(targets))


def step_name(vertex: Vertex, platform: str) -> str:
    """Return the name of a step in a build for several platforms, *platform* being that of its image; "" for one."""
    of_no_platform = isinstance(vertex.op, Local) or vertex.name.startswith("[internal]")
    if not platform or not vertex.name.startswith("[") or of_no_platform:
        return vertex.name
    own = vertex.platform or platform
    arrow = "" if own == platform else f"->{platform.removeprefix('linux/')}"
    return f"[{own}{arrow} {vertex.name[1:]}"

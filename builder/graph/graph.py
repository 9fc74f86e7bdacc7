"""The graph: vertices are ops, edges lead from an input to the vertex that uses it.

`plan` builds it from the stages; two vertices that would do the same work become one. The result is a `Plan`: the
vertices in an order with inputs first, which is all that the solver needs and all that is kept for the next build.
"""

from collections.abc import Mapping

import networkx as nx

from pybuild.builder.plan import codec
from pybuild.builder.plan.keys import mounted
from pybuild.builder.plan.ops import Base, Copy, Git, Http, Local, Op, Pick, Run, Scratch
from pybuild.builder.plan.plan import BasePin, Plan, Vertex
from pybuild.builder.platforms import platform_of
from pybuild.builder.sources.address import RemoteSource
from pybuild.builder.sources.tree import tree_vertices
from pybuild.builder.stages.config import absolute
from pybuild.builder.stages.stages import FromContext, FromImage, FromRemote, FromScratch, FromStage, Input, Stages
from pybuild.runtime.values import replace


def plan(stages: Stages, pins: Mapping[str, BasePin], remotes: Mapping[RemoteSource, Http | Git] | None = None) -> Plan:
    """Return the vertices that the target needs, inputs first. *remotes* has the op that fetches each remote source."""
    planner = _Planner(pins, remotes or {})
    for stage in stages.stages:
        planner.stage = stage.name.lower()
        planner.platform = platform_of(stage.config)
        top = planner.root(stage.base, name=stage.base_name, lines=stage.base_lines)
        for step in stage.steps:
            sources = tuple(planner.source(source, step.op, number) for number, source in enumerate(step.inputs, 1))
            op = replace(step.op, platform=planner.platform) if isinstance(step.op, Run) else step.op
            top = planner.add(op, (top, *sources), step.name, step.lines)
        planner.tops[stage.index] = top
    return planner.ordered(planner.tops[stages.target])


class _Planner:
    def __init__(self, pins: Mapping[str, BasePin], remotes: Mapping[RemoteSource, Http | Git]) -> None:
        self.pins, self.remotes = pins, remotes
        self.graph: nx.DiGraph[str] = nx.DiGraph()
        self.tops: dict[int, str] = {}
        # Those of the current stage.
        self.stage = self.platform = ""

    def input(self, source: Input, name: str = "", lines: tuple[int, int] = (0, 0)) -> str:
        match source:
            case FromStage(index):
                return self.tops[index]
            case FromScratch():
                return self.add(Scratch(), (), "", lines)
            case FromContext(directory):
                shown = f"[context {directory}] load from client"
                shown = "[internal] load build context" if directory == Local().name else shown
                return self.add(Local(name=directory), (), shown, lines)
            case FromRemote():
                return self.remote(source, lines)
            case FromImage(reference, key=key):
                pin = self.pins[key]
                op = Base(diff_ids=pin.diff_ids, manifest=pin.manifest, reference=reference)
                return self.add(op, (), name or f"FROM {reference}", lines)

    def remote(self, source: FromRemote, lines: tuple[int, int]) -> str:
        """Return the vertex of a remote source, unpacked if it is used as a tree."""
        op = self.remotes[source.source]
        name = source.source.label if isinstance(op, Http) else f"[internal] load git source {source.source.label}"
        if not source.as_tree:
            return self.add(op, (), name, lines)
        added: list[str] = []
        for vertex in tree_vertices(op, name, lines):
            added.append(self.add(vertex.op, tuple(added[i] for i in vertex.inputs), vertex.name, vertex.lines))
        return added[-1]

    def root(self, base: Input, name: str, lines: tuple[int, int]) -> str:
        """Return the vertex that a stage starts from; a directory of the host is copied into an empty rootfs."""
        source = self.input(base, name, lines)
        if not isinstance(base, FromContext):
            return source
        copied = Copy(sources=(Pick(path="/", input=1),), destination="/")
        return self.add(copied, (self.input(FromScratch()), source), name, lines)

    def source(self, source: Input, op: Op, number: int) -> str:
        """Return the vertex of a source of *op*. A RUN mounts a copy of the files of the host that it may see."""
        if not isinstance(source, FromContext) or not isinstance(op, Run):
            return self.input(source)
        context = self.input(source)
        top = self.input(FromScratch())
        for path in sorted({mount.source or "/" for mount in op.mounts if mount.input == number}):
            copied = Copy(sources=(mounted(path, 1),), destination=absolute("/", path))
            top = self.add(copied, (top, context), "", (0, 0))
        return top

    def add(self, op: Op, inputs: tuple[str, ...], name: str, lines: tuple[int, int]) -> str:
        """Add a vertex, or return an existing one that does the same work."""
        vertex = str(codec.digest(op, inputs))
        if vertex not in self.graph:
            number = self.graph.number_of_nodes()
            shown = {"name": name, "lines": lines, "platform": self.platform}
            self.graph.add_node(vertex, op=op, inputs=inputs, number=number, stages=[], **shown)
            self.graph.add_edges_from((source, vertex) for source in inputs)
        stages = self.graph.nodes[vertex]["stages"]
        if self.stage not in stages:
            stages.append(self.stage)
        return vertex

    def ordered(self, target: str) -> Plan:
        """Return the ancestors of *target* in a stable topological order, ties in the order of the Dockerfile."""
        needed = self.graph.subgraph(nx.ancestors(self.graph, target) | {target})
        order = list(nx.lexicographical_topological_sort(needed, key=lambda v: needed.nodes[v]["number"]))
        indexes = {vertex: index for index, vertex in enumerate(order)}
        vertices = []
        for vertex in order:
            data = needed.nodes[vertex]
            inputs = tuple(indexes[source] for source in data["inputs"])
            shown = {key: data[key] for key in ("name", "lines", "platform")}
            vertices.append(Vertex(op=data["op"], inputs=inputs, stages=tuple(data["stages"]), **shown))
        return Plan(vertices=tuple(vertices))

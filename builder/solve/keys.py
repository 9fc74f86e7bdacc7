"""The keys of the vertices of a plan: what follows before anything runs, and what turns out when inputs are there."""

from pybuild.builder.content.contents import Contents
from pybuild.builder.errors import BuildError
from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.keys import is_independent, key, own_key, picks
from pybuild.builder.plan.ops import Local
from pybuild.builder.plan.plan import Plan
from pybuild.builder.reporter import Steps
from pybuild.runtime.errors import RuntimeHostError


class VertexKeys:
    """Keys by index in the plan. *epoch* is SOURCE_DATE_EPOCH, which decides what a layer holds."""

    def __init__(self, plan: Plan, contents: Contents, steps: Steps, epoch: int | None) -> None:
        self._plan, self._found, self._steps, self._epoch = plan, contents, steps, epoch
        self.keys: dict[int, Digest] = {}
        self.contents: dict[int, tuple[Digest, ...]] = {}
        """Digests of what vertices select, as far as they were known before anything ran, or turned out since."""
        self.settled: set[int] = set()
        """Vertices whose key is made of what their inputs turned out to hold."""

    def compute(self) -> None:
        """Compute the keys that follow from the plan, the context and what the cache knows of earlier builds."""
        for index, vertex in enumerate(self._plan.vertices):
            rooted = not vertex.inputs or vertex.inputs[0] in self.keys
            if isinstance(vertex.op, Local) or not (rooted or is_independent(vertex.op)):
                continue
            contents = self._known_contents(index)
            if contents is None:
                continue
            self.contents[index] = contents
            if rooted:
                self._give(index)

    def settle(self, index: int, contents: tuple[Digest, ...]) -> None:
        """Compute the key of a vertex whose inputs are solved: from their content, not from what was remembered."""
        self.contents[index] = contents
        self.settled.add(index)
        self._give(index)

    def _give(self, index: int) -> None:
        """Compute the key of a vertex from what it selects; the key of its root file system is known."""
        inputs = self._plan.vertices[index].inputs
        root = self.keys[inputs[0]] if inputs else None
        self.keys[index] = key(self._plan.vertices[index].op, root, self.contents[index], self._epoch)

    def own(self, index: int) -> Digest | None:
        """Return the key of the layer of a vertex on any root; None when it has none, or it is not known yet."""
        contents = self.contents.get(index)
        return None if contents is None else own_key(self._plan.vertices[index].op, contents, self._epoch)

    def all_own(self) -> dict[int, Digest]:
        """Return the own key of each vertex that has one."""
        found = {index: self.own(index) for index in self.contents}
        return {index: own for index, own in found.items() if own is not None}

    def _known_contents(self, index: int) -> tuple[Digest, ...] | None:
        """Return the digests of what a vertex selects, None when one of them is not known yet."""
        vertex = self._plan.vertices[index]
        found = []
        for number, pick in enumerate(picks(vertex.op)):
            source = vertex.inputs[pick.input]
            if isinstance(self._plan.vertices[source].op, Local):
                content = self._context_content(index, number, source)
            else:
                content = self._found.remembered(index, number, self.keys.get(source))
            if content is None:
                return None
            found.append(content)
        return tuple(found)

    def _context_content(self, index: int, number: int, source: int) -> Digest | None:
        """Return what a vertex selects from the context; a path that is missing there is the fault of the vertex."""
        with self._steps.running(source):
            try:
                return self._found.of_context(index, number)
            except (BuildError, RuntimeHostError, OSError) as error:
                raise self._steps.failed(index, error) from error

"""The keys of the vertices of a plan: before anything is executed, and when the inputs of a vertex are solved."""

from pybuild.builder.content.selections import Selections
from pybuild.builder.errors import BuildError
from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.keys import is_independent, key, own_key, picks
from pybuild.builder.plan.ops import Local
from pybuild.builder.plan.plan import Plan
from pybuild.builder.reporter import Steps
from pybuild.runtime.errors import RuntimeHostError


class VertexKeys:
    """The key of each vertex, by its index. Keys cover *epoch*, SOURCE_DATE_EPOCH: it limits times in layers."""

    def __init__(self, plan: Plan, selections: Selections, steps: Steps, epoch: int | None) -> None:
        self._plan, self._selections, self._steps, self._epoch = plan, selections, steps, epoch
        self.by_index: dict[int, Digest] = {}
        self.contents: dict[int, tuple[Digest, ...]] = {}
        """The digests of the files that each vertex selects from its inputs, as far as they are known."""
        self.settled: set[int] = set()
        """Vertices whose key was computed from their solved inputs, not from what earlier builds remembered."""

    def compute(self) -> None:
        """Compute the keys that follow from the plan, the context and what earlier builds remembered of selections."""
        for index, vertex in enumerate(self._plan.vertices):
            has_rootfs_key = not vertex.inputs or vertex.inputs[0] in self.by_index
            if isinstance(vertex.op, Local) or not (has_rootfs_key or is_independent(vertex.op)):
                continue
            contents = self._known_contents(index)
            if contents is None:
                continue
            self.contents[index] = contents
            if has_rootfs_key:
                self._compute_key(index)

    def settle(self, index: int, contents: tuple[Digest, ...]) -> None:
        """Compute the key of a vertex whose inputs are solved, from the *contents* that it selects from them."""
        self.contents[index] = contents
        self.settled.add(index)
        self._compute_key(index)

    def _compute_key(self, index: int) -> None:
        """Compute the key of a vertex from the key of its rootfs and the digests of its selections, which are known."""
        inputs = self._plan.vertices[index].inputs
        root = self.by_index[inputs[0]] if inputs else None
        self.by_index[index] = key(self._plan.vertices[index].op, root, self.contents[index], self._epoch)

    def own(self, index: int) -> Digest | None:
        """Return the key of the independent layer of a vertex; None when it has none, or it is not known yet."""
        contents = self.contents.get(index)
        return None if contents is None else own_key(self._plan.vertices[index].op, contents, self._epoch)

    def all_own(self) -> dict[int, Digest]:
        """Return the key of each independent layer, by the index of its vertex."""
        found = {index: self.own(index) for index in self.contents}
        return {index: own for index, own in found.items() if own is not None}

    def _known_contents(self, index: int) -> tuple[Digest, ...] | None:
        """Return the digests of what a vertex selects; None when one of them is not known yet."""
        vertex = self._plan.vertices[index]
        found = []
        for number, pick in enumerate(picks(vertex.op)):
            source = vertex.inputs[pick.input]
            if isinstance(self._plan.vertices[source].op, Local):
                content = self._context_content(index, number, source)
            else:
                content = self._selections.remembered(index, number, self.by_index.get(source))
            if content is None:
                return None
            found.append(content)
        return tuple(found)

    def _context_content(self, index: int, number: int, source: int) -> Digest | None:
        """Return the digest of what a vertex selects from the context. A missing path is an error of the vertex."""
        failure: Exception
        with self._steps.running(source):
            try:
                return self._selections.context_digest(index, number)
            except (BuildError, RuntimeHostError, OSError) as error:
                failure = error
        raise self._steps.failed(index, failure) from failure

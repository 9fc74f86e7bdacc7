"""The plan: the input of the solver, as data that is kept for the next build.

An unchanged build neither parses nor plans: the plan is remembered under the digest of the text of the Dockerfile and
the request, together with the pins that it was made for.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pybuild.builder.errors import BuildError
from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.ops import ASIDE, Base, Copy, Git, Http, Local, Op
from pybuild.builder.progress import PlannedStep
from pybuild.grammar.errors import DockerfileError
from pybuild.runtime.values import field, frozen, positional

if TYPE_CHECKING:
    from pybuild.grammar.nodes import Dockerfile
    from pybuild.grammar.source import Source

_LONGEST_TRIGGER = 100
"""The number of characters of a trigger that a message shows."""


@positional
class BasePin:
    """A base image in the graph: the digest of its manifest, and its diff IDs."""

    manifest: str
    diff_ids: tuple[str, ...]


@positional
class Definition:
    """The input of planning besides the planning part of a request: a Dockerfile and its surroundings.

    All of it is part of the key of a remembered plan, except for the parsed form.
    """

    name: str
    """The name of the file, for messages."""
    text: str
    ignored: str = ""
    """The text of the ignore file: warnings about ignored files are part of a plan."""
    address: str = ""
    """The address of a remote context, "" for a directory of the host, wherever that is."""
    contexts: tuple[tuple[str, str], ...] = ()
    """(name, value) of named contexts."""
    _parsed: "list[tuple[Dockerfile, DockerfileError | None]]" = field(
        default_factory=list, compare=False, repr=False, metadata=ASIDE
    )

    @property
    def source(self) -> "Source":
        """The text as a `Source`, which spans refer to."""
        from pybuild.grammar.source import Source

        return Source(self.name, self.text)

    def parsed_prefix(self) -> "tuple[Dockerfile, DockerfileError | None]":
        """Return the part that can be parsed, and the mistake that ends it, if any. The text is parsed once."""
        if not self._parsed:
            from pybuild.grammar.dockerfile.parser import parse_prefix

            self._parsed.append(parse_prefix(self.source))
        return self._parsed[0]

    def set_parsed(self, dockerfile: "Dockerfile", mistake: "DockerfileError | None") -> None:
        """Take the result of `parsed_prefix` from another process."""
        self._parsed[:] = [(dockerfile, mistake)]

    def parsed(self) -> "Dockerfile":
        """Return the whole file. Raises DockerfileError."""
        dockerfile, mistake = self.parsed_prefix()
        if mistake is not None:
            raise mistake
        return dockerfile

    @contextmanager
    def located(self) -> Iterator[None]:
        """Add the text of the Dockerfile to failures that leave the block."""
        try:
            yield
        except (BuildError, DockerfileError) as error:
            error.source = error.source or self.source
            raise


@frozen
class Vertex:
    """An op with its inputs, as numbers of earlier vertices. *name* and *lines* are for display; "" is not shown.

    *platform* is that of the stage.
    """

    op: Op
    inputs: tuple[int, ...] = ()
    name: str = ""
    platform: str = ""
    lines: tuple[int, int] = (0, 0)
    stages: tuple[str, ...] = ()
    """The stages that have it as a step, by name in lower case; ``stage-1`` is the second when it has none."""


@frozen
class Plan:
    """Vertices in an order in which inputs come first; the last one is the target.

    *config* is the config document of the image, without layers and times. *pins* has the manifest of each image
    reference; a plan is valid only while they are the same.
    """

    vertices: tuple[Vertex, ...]
    config: str = ""
    created: str = ""
    """When the plan was made: the time of an image that has no layer of its own."""
    pins: tuple[tuple[str, str], ...] = ()
    warnings: tuple[tuple[str, int], ...] = ()
    """(message, line); line 0 is no place in the Dockerfile."""
    refusal: str = ""
    """Why the plan is not executed: warnings that the Dockerfile turns into errors."""

    def trigger(self, index: int) -> tuple[str, str] | None:
        """Return the ONBUILD trigger that a vertex is, and the image or stage that it comes from; else None."""
        vertex = below = self.vertices[index]
        if not _as_trigger(vertex):
            return None
        while _as_trigger(below):
            below = self.vertices[below.inputs[0]]
        # A base image has the lines of the same FROM as its triggers; else they are those of a stage.
        if isinstance(below.op, Base) and below.lines == vertex.lines:
            return _as_trigger(vertex), below.op.reference
        return _as_trigger(vertex), "".join(below.stages[:1])

    def lines_of(self, index: int) -> tuple[int, int]:
        """Return the lines of a vertex; for a repository, or a file of the web, those of its ADD."""
        if not isinstance(self.vertices[index].op, Git | Http):
            return self.vertices[index].lines
        return next((each.lines for each in self.vertices[index + 1 :] if index in each.inputs), (0, 0))

    def is_mounted_context(self, index: int) -> bool:
        """Return whether a vertex is the hidden copy of the context that a RUN mounts, and not a step of a stage."""
        vertex = self.vertices[index]
        is_copy = isinstance(vertex.op, Copy) and not vertex.name
        return is_copy and any(isinstance(self.vertices[source].op, Local) for source in vertex.inputs)


def trigger_phrase(text: str, base: str = "") -> str:
    """Return a hint that the ONBUILD trigger *text* of *base* is at fault, which stands in no Dockerfile."""
    from pybuild.grammar.parse_go import quote

    shown = text.partition("\n")[0][:_LONGEST_TRIGGER]
    return f"it is the ONBUILD trigger {quote(shown)} of the base {base}".rstrip()


def _as_trigger(vertex: Vertex) -> str:
    """Return the text of the ONBUILD trigger that *vertex* is, else ""; names begin with ``[STAGE 2/3] ``."""
    _, found, text = vertex.name.partition("] ONBUILD ")
    return text if found and vertex.name.startswith("[") else ""


@frozen
class Graph:
    """The graph to solve: vertices, and which of them are targets, by index."""

    plan: Plan
    targets: tuple[int, ...]

    @classmethod
    def of(cls, plan: Plan) -> "Graph":
        """Return the graph of one plan."""
        return cls(plan=plan, targets=(len(plan.vertices) - 1,))


def planned_steps(plan: Plan) -> dict[int, PlannedStep]:
    """Return the steps of *plan* by the index of their vertex.

    A vertex without a name is not a step: its users have its inputs as their inputs.
    """
    steps: dict[int, PlannedStep] = {}
    below: list[tuple[str, ...]] = []
    """By vertex, the ids of the steps that its users have as inputs."""
    for index, vertex in enumerate(plan.vertices):
        inputs = tuple(dict.fromkeys(each for source in vertex.inputs for each in below[source]))
        if vertex.name:
            identity = step_id("\n".join((f"vertex {index}", vertex.name, *inputs)))
            steps[index] = PlannedStep(id=identity, name=vertex.name, inputs=inputs)
            inputs = (identity,)
        below.append(inputs)
    return steps


def step_id(text: str) -> str:
    """Return an id for the step that *text* is the description of."""
    return "sha256:" + hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


@frozen
class Finished:
    """A solved plan: the keys of all vertices that have one, by index, and the indexes of the targets.

    *own_keys* are those of layers that fit any rootfs (`keys.own_key`), as far as their files are known.
    """

    plan: Plan
    targets: tuple[int, ...]
    keys: Mapping[int, Digest]
    own_keys: Mapping[int, Digest]

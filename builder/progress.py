"""The events of a build. A class that shows or records them implements `Progress`.

Events may come from several threads at once; each implementation locks for itself. Times are seconds of the
monotonic clock.
"""

from collections.abc import Callable

from pybuild.runtime.values import frozen


@frozen
class PlannedStep:
    """A step of the plan. *id* is a digest that is unique in the build, *inputs* are the ids of other steps.

    A step starts when those of *inputs* that it needs have ended; each of them stands before it in the plan.
    """

    id: str
    name: str
    inputs: tuple[str, ...] = ()


@frozen
class StepsPlanned:
    """The number of steps is known: *total*, unless one fails.

    *steps* is the plan, inputs first. It is reported once, before its first step starts; a later event with another
    *total* has none. The builder's own steps, such as writing the image, count in *total* and are not in *steps*.
    """

    total: int
    steps: tuple[PlannedStep, ...] = ()


@frozen
class StepStarted:
    """A step begins; *step* numbers it from 1 in order of first appearance and never changes.

    *id* and *inputs* are those of its `PlannedStep`; a step of the builder's own has an id and no inputs.
    """

    step: int
    name: str
    at: float
    id: str = ""
    inputs: tuple[str, ...] = ()


@frozen
class StepOutput:
    """A piece of what a step printed, as it came: any bytes, cut anywhere. *stream* is 1 or 2."""

    step: int
    stream: int
    data: bytes
    at: float


@frozen
class StepStatus:
    """How far a part of a step is (a layer that is downloaded, a context that is read); sizes in bytes, 0 unknown.

    A download or an upload of several blobs first reports each of them with *current* 0, so the sum of *total* is known
    before the first byte.
    """

    step: int
    id: str
    current: int
    total: int
    done: bool
    at: float


@frozen
class LayerMade:
    """The layer of a step: the *digest* and *size* in bytes of its blob, and the *diff_id* of its content."""

    digest: str
    diff_id: str
    size: int


@frozen
class StepFinished:
    """A step ended: from the cache, by running, with an *error* text, or *cancelled* because another one failed.

    *layer* is what the step adds to an image; None for a step that makes no layer, that failed, or whose layer was not
    looked up, because a later step came from the cache.
    """

    step: int
    cached: bool = False
    error: str = ""
    cancelled: bool = False
    layer: LayerMade | None = None
    at: float


@frozen
class Warned:
    """A warning; *line* is 0 when it has no place in the Dockerfile."""

    message: str
    line: int = 0


Event = StepsPlanned | StepStarted | StepOutput | StepStatus | StepFinished | Warned
Progress = Callable[[Event], None]


def silent(_event: Event) -> None:
    """Progress that shows nothing."""

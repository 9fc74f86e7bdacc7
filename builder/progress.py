"""What happens during a build, as events. Whoever shows or records them implements `Progress`.

Events may come from several threads at once; each implementation locks for itself. Times are seconds of the
monotonic clock.
"""

from collections.abc import Callable

from pybuild.runtime.values import frozen


@frozen
class StepsPlanned:
    """It is known how many steps the build has, *total* in all, unless one fails."""

    total: int


@frozen
class StepStarted:
    """A step begins; *step* numbers it from 1 in order of first appearance and never changes."""

    step: int
    name: str
    at: float


@frozen
class StepOutput:
    """A piece of what a step printed, as it came: any bytes, cut anywhere. *stream* is 1 or 2."""

    step: int
    stream: int
    data: bytes
    at: float


@frozen
class StepStatus:
    """How far a part of a step is (a layer that is downloaded, a context that is read); sizes in bytes, 0 unknown."""

    step: int
    id: str
    current: int
    total: int
    done: bool
    at: float


@frozen
class StepFinished:
    """A step ended: from the cache, by running, with an *error* text, or *cancelled* because another one failed."""

    step: int
    cached: bool = False
    error: str = ""
    cancelled: bool = False
    at: float


@frozen
class Warned:
    """Something the user should know; *line* is 0 when it has no place in the Dockerfile."""

    message: str
    line: int = 0


Event = StepsPlanned | StepStarted | StepOutput | StepStatus | StepFinished | Warned
Progress = Callable[[Event], None]


def silent(_event: Event) -> None:
    """Progress that shows nothing."""

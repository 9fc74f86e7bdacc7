"""Progress as one JSON document per line, with the field names of BuildKit's SolveStatus."""

import base64
import hashlib
import json
import threading
import time
from datetime import UTC, datetime
from typing import Any, TextIO, assert_never

from pybuild.builder.display.warnings import document
from pybuild.builder.progress import (
    Event,
    PlannedStep,
    StepFinished,
    StepOutput,
    StepsPlanned,
    StepStarted,
    StepStatus,
    Warned,
)


class JsonDisplay:
    """Writes each event to *stream* at once. Control characters are escaped by JSON, output of steps is base64."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._steps: dict[int, StepStarted] = {}
        # Events have times of the monotonic clock; readers expect the time of day.
        self._offset = time.time() - time.monotonic()

    def __call__(self, event: Event) -> None:
        """Write *event*."""
        if isinstance(event, StepsPlanned) and not event.steps:
            return  # BuildKit's documents have no field for a total
        with self._lock:
            if isinstance(event, StepStarted):
                self._steps[event.step] = event
            json.dump(self._document(event), self._stream, separators=(",", ":"))
            self._stream.write("\n")
            self._stream.flush()

    def close(self) -> None:
        """Do nothing: every event was written at once."""

    def _document(self, event: Event) -> dict[str, Any]:
        match event:
            case StepsPlanned():
                return {"vertexes": [_planned(step) for step in event.steps]}
            case StepStarted():
                return {"vertexes": [self._vertex(event.step)]}
            case StepFinished():
                return {"vertexes": [self._vertex(event.step) | self._end(event)]}
            case StepOutput():
                data = base64.b64encode(event.data).decode()
                log = {"vertex": self._digest(event.step), "stream": event.stream, "data": data}
                return {"logs": [log | {"timestamp": self._time(event.at)}]}
            case StepStatus():
                return {"statuses": [self._status(event)]}
            case Warned():
                return {"warnings": [{"vertex": "", **document(event)}]}
            case _:
                assert_never(event)

    def _vertex(self, step: int) -> dict[str, Any]:
        begun = self._steps.get(step)
        if begun is None:
            return {"digest": self._digest(step)}
        planned = PlannedStep(id=self._digest(step), name=begun.name, inputs=begun.inputs)
        return _planned(planned) | {"started": self._time(begun.at)}

    def _end(self, event: StepFinished) -> dict[str, Any]:
        error = "context canceled" if event.cancelled else event.error
        return {
            "completed": self._time(event.at),
            **({"cached": True} if event.cached else {}),
            **({"error": error} if error else {}),
        }

    def _status(self, event: StepStatus) -> dict[str, Any]:
        at = self._time(event.at)
        return {
            "id": event.id,
            "vertex": self._digest(event.step),
            "current": event.current,
            **({"total": event.total} if event.total else {}),
            "timestamp": at,
            **({"completed": at} if event.done else {}),
        }

    def _digest(self, step: int) -> str:
        begun = self._steps.get(step)
        # Readers of this format expect a digest as the key.
        return begun.id if begun is not None and begun.id else "sha256:" + hashlib.sha256(b"step %d" % step).hexdigest()

    def _time(self, at: float) -> str:
        return datetime.fromtimestamp(at + self._offset, UTC).isoformat().replace("+00:00", "Z")


def _planned(step: PlannedStep) -> dict[str, Any]:
    inputs = {"inputs": list(step.inputs)} if step.inputs else {}
    return {"digest": step.id, **inputs, "name": step.name}

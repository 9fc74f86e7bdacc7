"""Documents of ``--progress=rawjson`` beside those that are the same for every display."""

import io
import json
from typing import Any

from pybuild.builder.display.rawjson import JsonDisplay
from pybuild.builder.progress import Event, PlannedStep, StepFinished, StepsPlanned, StepStarted, StepStatus

BASE = PlannedStep(id="sha256:b", name="FROM base")
RUN = PlannedStep(id="sha256:r", name="RUN true", inputs=("sha256:b",))


def documents(*events: Event) -> list[dict[str, Any]]:
    stream = io.StringIO()
    display = JsonDisplay(stream)
    for event in events:
        display(event)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_the_plan_is_one_document_of_vertexes_that_have_not_started() -> None:
    (planned,) = documents(StepsPlanned(total=5, steps=(BASE, RUN)), StepsPlanned(total=6))
    assert planned == {
        "vertexes": [
            {"digest": "sha256:b", "name": "FROM base"},
            {"digest": "sha256:r", "inputs": ["sha256:b"], "name": "RUN true"},
        ]
    }


def test_every_document_of_a_step_has_the_digest_and_the_inputs_of_the_plan() -> None:
    started, status, finished = documents(
        StepStarted(step=7, name=RUN.name, at=1.0, id=RUN.id, inputs=RUN.inputs),
        StepStatus(step=7, id="blob", current=1, total=2, done=False, at=1.5),
        StepFinished(step=7, at=2.0),
    )
    for document in (started, finished):
        (vertex,) = document["vertexes"]
        assert (vertex["digest"], vertex["inputs"], vertex["name"]) == ("sha256:r", ["sha256:b"], "RUN true")
    assert status["statuses"][0]["vertex"] == "sha256:r"

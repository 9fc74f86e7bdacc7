from pathlib import Path

import pytest

from pybuild.builder.display.log_file import log_file
from pybuild.builder.progress import Event, StepFinished, StepOutput, StepStarted, Warned


def test_what_is_shown_is_logged_too(tmp_path: Path) -> None:
    shown: list[Event] = []
    events = (
        StepStarted(step=1, name="[1/1] RUN x", at=0.0),
        StepOutput(step=1, stream=1, data=b"one\x1b[2Jtwo\n", at=0.5),
        Warned(message="odd", line=3),
        StepFinished(step=1, at=1.0),
    )
    with log_file(tmp_path / "log", str) as logging:
        progress = logging(shown.append)
        for event in events:
            progress(event)
    assert tuple(shown) == events
    assert (tmp_path / "log").read_text() == (
        "#1 [1/1] RUN x\n#1 0.500 onetwo\n#1 DONE 1.0s\n\n 1 warning found:\n - odd (line 3)\n"
    )


def test_a_failure_is_the_end_of_the_log(tmp_path: Path) -> None:
    with pytest.raises(KeyError), log_file(tmp_path / "log", lambda error: f"it was {error}\n"):
        raise KeyError("x")
    assert (tmp_path / "log").read_text() == "it was 'x'\n"

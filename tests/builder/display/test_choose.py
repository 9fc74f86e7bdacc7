import io
import json

import pytest

from pybuild.builder.display.choose import MODES, open_display
from pybuild.builder.display.rawjson import JsonDisplay
from pybuild.builder.progress import Event, StepFinished, StepOutput, StepStarted, StepStatus, Warned

EVENTS: tuple[Event, ...] = (
    StepStarted(step=1, name="a\x1b", at=1.0),
    StepOutput(step=1, stream=2, data=b"\x1bx", at=1.0),
    StepStatus(step=1, id="layer", current=3, total=4, done=True, at=2.0),
    StepFinished(step=1, error="no", at=2.5),
    Warned(message="w", line=4),
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(mode: str, stream: io.StringIO, env: dict[str, str] | None = None) -> str:
    with open_display(mode, stream, env or {}) as display:
        for event in EVENTS:
            display(event)
    return stream.getvalue()


def test_auto_is_plain_without_a_terminal_and_live_with_one() -> None:
    assert shown("auto", io.StringIO()).startswith("#1 a\n")
    assert "[+] Building" in shown("auto", Terminal())
    assert shown("auto", Terminal(), {"TERM": "dumb"}).startswith("#1 a\n")
    assert "[+] Building" in shown("auto", Terminal(), {"BUILDKIT_TTY_LOG_LINES": "1" * 5000})


@pytest.mark.parametrize("mode", ["quiet", "none"])
def test_quiet_shows_nothing_but_the_log_of_a_step_that_failed(mode: str) -> None:
    printed = StepOutput(step=1, stream=1, data=b"x\n", at=1.0)
    for error, expected in (("no", "------\n > a:\n0.000 x\n------\n"), ("", "")):
        stream = io.StringIO()
        with open_display(mode, stream, {}) as display:
            for event in (EVENTS[0], printed, StepFinished(step=1, error=error, at=2.5)):
                display(event)
        assert stream.getvalue() == expected


def test_the_live_view_needs_a_terminal() -> None:
    with pytest.raises(ValueError, match="not a terminal"):
        open_display("tty", io.StringIO(), {})


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "tty"])
def test_no_display_lets_an_escape_character_through(mode: str) -> None:
    assert "\x1b" not in shown(mode, io.StringIO())


def test_raw_json_is_one_status_per_line() -> None:
    stream = io.StringIO()
    display = JsonDisplay(stream)
    for event in EVENTS:
        display(event)
    started, log, status, finished, warning = (json.loads(line) for line in stream.getvalue().splitlines())
    digest = started["vertexes"][0]["digest"]
    assert started["vertexes"][0]["name"] == "a\x1b"
    assert log["logs"][0] | {"timestamp": ""} == {"vertex": digest, "stream": 2, "data": "G3g=", "timestamp": ""}
    assert status["statuses"][0]["current"] == 3
    assert status["statuses"][0]["completed"] == status["statuses"][0]["timestamp"]
    assert finished["vertexes"][0]["error"] == "no"
    assert finished["vertexes"][0]["completed"] > finished["vertexes"][0]["started"]
    assert warning["warnings"][0]["range"] == [{"start": {"line": 4}, "end": {"line": 4}}]

import time

import pytest

from pybuild.builder.cli.format.containers import status_text
from pybuild.builder.containers.state import State
from pybuild.runtime.monitor.state import timestamp

NOW = 1_700_000_000.0


def ago(seconds: float) -> str:
    return timestamp(int((NOW - seconds) * 1e9))


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (State(), "Created"),
        (State(status="running", started=ago(120)), "Up 2 minutes"),
        (State(status="paused", started=ago(3700)), "Up About an hour (Paused)"),
        (State(status="exited", exit_code=3, finished=ago(5)), "Exited (3) 5 seconds ago"),
        (State(status="restarting", exit_code=1, finished=ago(5)), "Restarting (1) 5 seconds ago"),
        (State(status="dead"), "Dead"),
    ],
)
def test_what_a_container_does_is_told_in_docker_s_words(
    monkeypatch: pytest.MonkeyPatch, state: State, text: str
) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    assert status_text(state) == text

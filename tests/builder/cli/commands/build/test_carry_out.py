"""Carrying out a build: its log, and the time that it may take."""

import signal
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pybuild.builder.cli import housekeeping
from pybuild.builder.cli.commands.build import carry_out as carrying
from pybuild.builder.cli.commands.build.carry_out import log_to
from pybuild.builder.cli.tools import Tools, begin
from pybuild.builder.errors import TimedOut
from pybuild.builder.interrupts import Interrupts
from pybuild.builder.progress import Warned, silent
from pybuild.builder.request import Request
from tests.helpers.handlers import default_handlers


def test_without_a_file_the_display_stays_what_it_is() -> None:
    with log_to(None) as logging:
        assert logging(silent) is silent


def test_the_log_goes_to_a_file(tmp_path: Path) -> None:
    with log_to(tmp_path / "log") as logging:
        logging(silent)(Warned(message="careful"))
    assert "careful" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("over", ["while it builds", "afterwards"])
def test_the_time_of_a_build_ends_with_it(monkeypatch: pytest.MonkeyPatch, over: str) -> None:
    pruned: list[bool] = []

    def build(request: Request, *_: object) -> SimpleNamespace:
        assert request.execution.timeout is None  # it runs already
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        if over == "while it builds":
            signal.raise_signal(signal.SIGALRM)
        return SimpleNamespace(targets=(), image_id="sha256:1")

    def prune(_store: object) -> None:
        signal.raise_signal(signal.SIGALRM)
        pruned.append(True)

    monkeypatch.setattr(carrying, "is_due", lambda _root: True)
    monkeypatch.setattr(housekeeping, "tidy", prune)
    begin(Tools(build=build))
    request = Request.of(context=Path(), timeout=60)
    store: Any = SimpleNamespace(close=list, root=Path())
    with default_handlers(), Interrupts(), pytest.raises(TimedOut) if over != "afterwards" else nullcontext():
        assert carrying.carry_out(request, carrying.ReportSettings(mode="quiet"), opened=lambda: store) == 0
    assert bool(pruned) == (over == "afterwards")

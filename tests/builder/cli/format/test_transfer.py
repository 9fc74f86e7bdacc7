"""The line of a transfer: the sum of all blobs, on a terminal only."""

import pytest

from pybuild.builder.cli.format import transfer
from pybuild.builder.cli.format.transfer import Meter, short


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "is_terminal", lambda _fd: True)


@pytest.mark.usefixtures("terminal")
def test_a_terminal_shows_the_sum_of_all_blobs(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    times = iter([1.0, 1.01, 2.0])
    monkeypatch.setattr(transfer.time, "monotonic", lambda: next(times))
    meter = Meter("Pushing", quiet=False)
    meter("a", 0, 2000)
    meter("a", 1000, 2000)  # too soon to be drawn
    meter("b", 500, 1000)
    meter.clear()
    shown = capfd.readouterr().err.replace("\x1b[K", "")  # click writes it to a terminal only
    assert shown.split("\r")[1:] == ["Pushing 0B / 2.00kB", "Pushing 1.50kB / 3.00kB", ""]


@pytest.mark.usefixtures("terminal")
def test_a_quiet_transfer_shows_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    meter = Meter("Pulling", quiet=True)
    meter("a", 1, 2)
    meter.clear()
    assert capfd.readouterr() == ("", "")


def test_a_pipe_gets_no_line_that_moves(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(transfer, "is_terminal", lambda _fd: False)
    meter = Meter("Pulling", quiet=False)
    meter("a", 1, 2)
    meter.clear()
    assert capfd.readouterr().err == ""


def test_a_blob_is_named_by_twelve_digits_as_docker_does() -> None:
    assert short("sha256:" + "0123456789abcdef" * 4) == "0123456789ab"

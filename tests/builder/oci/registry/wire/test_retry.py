import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from pybuild.builder.oci.errors import RegistryError, RegistryUnavailable
from pybuild.builder.oci.registry.wire.retry import Retry, retry_after


class Script:
    """Fails with the given errors, one each time, then returns."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.waits: list[float] = []

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def pause(self, _stop: threading.Event, seconds: float) -> None:
        self.waits.append(seconds)


def test_what_works_is_done_once() -> None:
    script = Script()
    assert Retry(pause=script.pause).run(script) == "done"
    assert script.waits == []


def test_what_may_work_later_is_repeated_with_growing_patience() -> None:
    script = Script(*[RegistryUnavailable("busy")] * 7)
    assert Retry(pause=script.pause).run(script) == "done"
    assert len(script.waits) == 7
    for number, wait in enumerate(script.waits):
        assert 0 <= wait <= min(30, 0.5 * 2**number)


def test_a_wait_is_told_when_it_is_more_than_a_moment() -> None:
    told: list[str] = []
    script = Script(RegistryUnavailable("busy", retry_after=0.4), RegistryUnavailable("full", retry_after=12.0))
    assert Retry(pause=script.pause, tell=told.append).run(script) == "done"
    assert told == ["waiting 12 s before attempt 3 of 8: full"]


def test_a_wait_that_is_too_long_is_told_instead() -> None:
    script = Script(RegistryUnavailable("quota for today used", retry_after=86400.0))
    with pytest.raises(RegistryUnavailable, match="quota for today used") as caught:
        Retry(pause=script.pause).run(script)
    assert "86400 s" in caught.value.hint
    assert script.waits == []


@pytest.mark.parametrize(("status", "asked", "waits"), [(429, None, 3), (429, 0.5, 7), (503, None, 7), (0, None, 7)])
def test_a_server_that_refuses_more_requests_is_not_asked_many_times(
    status: int, asked: float | None, waits: int
) -> None:
    script = Script(*[RegistryUnavailable("toomanyrequests", status=status, retry_after=asked)] * 9)
    with pytest.raises(RegistryUnavailable, match="toomanyrequests"):
        Retry(pause=script.pause).run(script)
    assert len(script.waits) == waits
    assert status != 429 or sum(script.waits) <= 3.5


def test_patience_ends_with_the_last_error() -> None:
    errors = [RegistryUnavailable(f"busy {n}") for n in range(8)]
    script = Script(*errors)
    with pytest.raises(RegistryUnavailable, match="busy 7"):
        Retry(pause=script.pause).run(script)
    assert len(script.waits) == 7


def test_what_will_never_work_is_not_repeated() -> None:
    script = Script(RegistryError("no"))
    with pytest.raises(RegistryError, match="no"):
        Retry(pause=script.pause).run(script)
    assert script.waits == []


def test_the_server_decides_how_long_to_wait() -> None:
    script = Script(RegistryUnavailable("busy", retry_after=17), RegistryUnavailable("busy", retry_after=0))
    Retry(pause=script.pause).run(script)
    assert script.waits == [17, 0]


def test_a_wait_beyond_the_budget_is_not_begun() -> None:
    script = Script(RegistryUnavailable("busy", retry_after=121))
    with pytest.raises(RegistryUnavailable):
        Retry(pause=script.pause, clock=lambda: 0.0).run(script)
    assert script.waits == []


def test_the_budget_counts_from_the_first_attempt() -> None:
    times = iter([0.0, 100.0, 119.0])
    script = Script(*[RegistryUnavailable("busy", retry_after=10)] * 3)
    with pytest.raises(RegistryUnavailable):
        Retry(pause=script.pause, clock=lambda: next(times)).run(script)
    assert script.waits == [10]


def test_where_nobody_is_there_patience_is_short() -> None:
    script = Script(*[RegistryUnavailable("refused", absent=True)] * 7)
    with pytest.raises(RegistryUnavailable, match="refused"):
        Retry(pause=script.pause).run(script)
    assert len(script.waits) == 2
    assert sum(script.waits) <= 2


def test_a_slow_answer_that_nobody_is_there_is_the_last() -> None:
    times = iter([0.0, 5.0])
    script = Script(*[RegistryUnavailable("unknown", absent=True)] * 2)
    with pytest.raises(RegistryUnavailable, match="unknown"):
        Retry(pause=script.pause, clock=lambda: next(times)).run(script)
    assert script.waits == []


def test_a_server_that_starts_anew_amid_other_failures_is_waited_for() -> None:
    script = Script(RegistryUnavailable("refused", absent=True), *[RegistryUnavailable("busy")] * 3)
    assert Retry(pause=script.pause).run(script) == "done"
    assert len(script.waits) == 4


def test_a_wait_ends_when_told_to_stop() -> None:
    stop = threading.Event()
    stop.set()
    assert Retry().run(Script(RegistryUnavailable("busy", retry_after=60)), stop) == "done"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("12", 12.0),
        ("soon", None),
        ("-3", None),
        ("9" * 50, 999999999.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    ],
)
def test_the_header_is_read(header: str | None, seconds: float | None) -> None:
    assert retry_after(header) == seconds


def test_the_header_may_be_a_date() -> None:
    moment = datetime.now(UTC) + timedelta(hours=1)
    found = retry_after(format_datetime(moment, usegmt=True))
    assert found is not None
    assert 3500 < found <= 3600

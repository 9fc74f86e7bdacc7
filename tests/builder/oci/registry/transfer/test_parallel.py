import threading

import pytest

from pybuild.builder.oci.errors import RegistryError
from pybuild.builder.oci.registry.transfer import parallel
from pybuild.builder.oci.registry.transfer.parallel import PARALLEL, Lanes, Stop, run_all


def test_all_jobs_are_done() -> None:
    done: list[int] = []
    run_all([lambda n=n: done.append(n) for n in range(20)], Stop())
    assert sorted(done) == list(range(20))
    run_all([], Stop())


def test_no_more_run_at_once_than_may() -> None:
    now, most = 0, 0
    lock = threading.Lock()

    def job() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        with lock:
            now -= 1

    run_all([job] * 50, Stop())
    assert 1 <= most <= PARALLEL


def test_the_first_failure_stops_the_others_and_is_raised() -> None:
    stop = Stop()
    begun = threading.Event()

    def fail() -> None:
        begun.wait(5)
        raise RegistryError("the reason")

    def work() -> None:
        begun.set()
        stop.event.wait(5)
        stop.check()

    with pytest.raises(RegistryError, match="the reason"):
        run_all([work, fail, work, work, work, work], stop)


def test_a_stop_from_outside_ends_them() -> None:
    outer = threading.Event()
    stop = Stop(outer)

    def work() -> None:
        outer.set()
        stop.event.wait(5)
        stop.check()

    with pytest.raises(RegistryError, match="another transfer failed"):
        run_all([work], stop)


def test_lanes_are_shared_and_become_fewer_but_never_none() -> None:
    lanes = Lanes(4)
    inside: list[int] = []

    def job() -> None:
        with lanes.one():
            inside.append(1)
            assert len(inside) <= lanes.count
            inside.pop()

    for _ in range(3):
        lanes.narrow()
    assert lanes.count == 1
    run_all([job] * 20, Stop())


def test_an_interrupt_ends_at_once_what_listens_and_waits_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    stop, hung = Stop(), threading.Event()

    def interrupted(_threads: object, _stop: Stop) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(parallel, "_join", interrupted)
    monkeypatch.setattr(parallel, "_GRACE", 0.01)
    with pytest.raises(KeyboardInterrupt):
        run_all([lambda: hung.wait(5) and None, lambda: stop.event.wait(5) and None], stop)
    assert stop.event.is_set()
    hung.set()

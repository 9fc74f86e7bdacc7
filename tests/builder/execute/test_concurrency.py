import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pybuild.builder.execute import concurrency
from pybuild.builder.execute.concurrency import Turns
from pybuild.runtime.stopping import stoppable
from tests.helpers.waiting import PATIENCE


def test_no_more_threads_than_there_are_turns():
    those, inside, most, lock = Turns(3), [], [], threading.Lock()
    full = threading.Barrier(3)

    def work(number):
        with those.one():
            with lock:
                inside.append(number)
                most.append(len(inside))
            full.wait(PATIENCE)
            with lock:
                inside.remove(number)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(12)))
    assert len(most) == 12
    assert max(most) == 3


def test_who_has_a_turn_may_ask_again_and_gives_it_back_once():
    those = Turns(1)
    for _ in range(2):
        with those.one(), those.one():
            pass
    with those.one(), ThreadPoolExecutor(1) as pool, pytest.raises(KeyError):
        pool.submit(_ask_stopped, those).result(PATIENCE)


def _ask_stopped(those):
    """Ask for a turn in a thread that was stopped."""

    def stop():
        raise KeyError

    with stoppable(stop), those.one():
        raise AssertionError("there was none")


def test_a_turn_is_given_back_after_a_failure():
    those = Turns(1)
    with pytest.raises(ValueError, match="failed"), those.one():
        raise ValueError("failed")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(_had, those).result(PATIENCE)


def _had(those):
    with those.one():
        return True


class Counting(Turns):
    """Turns that count who has one, and how often one was had."""

    def __init__(self):
        super().__init__()
        self.had = 0

    def one(self):
        self.had += 1
        return super().one()


def test_layers_of_copies_have_other_turns_than_those_of_commands(site, monkeypatch):
    copying, packing = Counting(), Counting()
    monkeypatch.setattr(concurrency, "COPYING", copying)
    monkeypatch.setattr(concurrency, "PACKING", packing)
    site.write({"f": "1"})
    site.solve("FROM scratch\nRUN write /x 1\nRUN write /y 1\nWORKDIR /w\nCOPY f /f\n")
    assert (copying.had, packing.had) == (1, 3)


def test_a_command_does_not_wait_for_large_copies(site, monkeypatch):
    monkeypatch.setattr(concurrency, "COPYING", Turns(0))
    site.write({"f": "1"})
    failed = []

    def build():
        try:
            site.solve("FROM scratch AS a\nCOPY f /f\nFROM scratch AS b\nRUN meet\nFROM a\nCOPY --from=b /met /\n")
        except Exception as error:
            failed.append(error)

    site.execute.meeting = threading.Barrier(2)
    thread = threading.Thread(target=build)
    thread.start()
    site.execute.meeting.wait(PATIENCE)
    for _ in range(2):
        concurrency.COPYING._free.release()
    thread.join(PATIENCE)
    assert failed == []
    assert not thread.is_alive()

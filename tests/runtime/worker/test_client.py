"""A function that another process carries out: as if it were called here, and gone with its caller."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.stopping import stoppable
from pybuild.runtime.worker.client import call
from tests.runtime.worker import functions


def _ignore(_event: object) -> None:
    pass


def test_events_and_the_result_come_back_from_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OF_NOW", "now")
    heard: list[object] = []
    pid, directory, found = call(functions.surroundings, "OF_NOW", listener=heard.append)
    assert pid != os.getpid()
    assert (directory, found) == (os.fspath(tmp_path), "now")
    assert heard == ["one", ("two", "OF_NOW")]
    monkeypatch.delenv("OF_NOW")
    again, _, found = call(functions.surroundings, "OF_NOW", listener=heard.append)
    assert (again != pid, found) == (True, None)


def test_several_threads_have_their_calls_at_once() -> None:
    barrier = threading.Barrier(3)

    def one(number: int) -> int:
        return call(functions.surroundings, str(number), listener=lambda _: barrier.wait(60))[0]  # type: ignore[no-any-return]

    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(one, range(3)))) == 3


def test_a_call_has_its_own_socket_and_nothing_else_open() -> None:
    with Path(__file__).open():
        assert call(functions.descriptors, listener=_ignore) == ["s"]


def test_descriptors_that_are_handed_over_keep_their_numbers() -> None:
    held = [os.memfd_create("test") for _ in range(12)]
    try:
        for number in held:
            os.write(number, str(number).encode())
        numbers = (held[5], held[0], held[11])
        assert call(functions.content, numbers, listener=_ignore, descriptors=numbers) == [
            str(each) for each in numbers
        ]
    finally:
        for number in held:
            os.close(number)


def test_a_caller_that_is_stopped_waits_for_the_clean_up_there() -> None:
    heard: list[object] = []

    def stop() -> None:
        if heard:
            raise TimeoutError

    began = time.monotonic()
    with pytest.raises(TimeoutError), stoppable(stop):
        call(functions.until_interrupted, 60, listener=heard.append)
    assert time.monotonic() - began < 30
    assert heard[1:] == ["cleaned up"]


@pytest.mark.parametrize("function", [functions.killed, functions.kill_worker])
def test_who_is_killed_there_is_an_error_here_and_the_next_call_works(function) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RuntimeHostError, match="was killed"):
        call(function, listener=_ignore)
    assert call(functions.surroundings, "X", listener=_ignore)[2] is None

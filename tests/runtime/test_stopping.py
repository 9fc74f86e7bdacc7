"""Long work asks in its own thread whether it is to stop."""

import threading

import pytest

from pybuild.runtime.stopping import check, current_stop, ending, pause, pool, stoppable


class Stopped(Exception):
    pass


def stop() -> None:
    raise Stopped


def test_nothing_stops_work_that_nobody_watches() -> None:
    check()


def test_work_stops_inside_the_block_and_not_after_it() -> None:
    with stoppable(stop), pytest.raises(Stopped):
        check()
    check()


def test_an_inner_block_has_its_own_answer_and_gives_the_outer_one_back() -> None:
    with stoppable(stop):
        with stoppable(lambda: None):
            check()
        with pytest.raises(Stopped):
            check()


def test_a_block_can_add_to_what_stops_it() -> None:
    current_stop()()
    with stoppable(stop), stoppable(current_stop()), pytest.raises(Stopped):
        check()


def test_another_thread_is_not_stopped() -> None:
    ended: list[bool] = []

    def work() -> None:
        check()
        ended.append(True)

    with stoppable(stop):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert ended == [True]


def test_a_block_that_waits_is_ended_from_another_thread() -> None:
    ended = threading.Event()

    def wait() -> None:
        assert ended.wait(60)
        raise OSError("the failure that the end makes")

    with stoppable(stop), pytest.raises(Stopped), ending(ended.set):
        wait()
    assert ended.is_set()


def test_a_block_that_nothing_stops_keeps_its_own_failure() -> None:
    ended: list[bool] = []
    with pytest.raises(OSError, match="own"), ending(lambda: ended.append(True)):
        raise OSError("own")
    with stoppable(lambda: None), pytest.raises(OSError, match="own"), ending(lambda: ended.append(True)):
        raise OSError("own")
    assert ended == []


def test_a_pause_ends_when_the_work_is_to_stop() -> None:
    times: list[bool] = []

    def second_time() -> None:
        times.append(True)
        if len(times) == 2:
            raise Stopped

    with stoppable(second_time), pytest.raises(Stopped):
        pause(3600, threading.Event())
    pause(0, threading.Event())
    event = threading.Event()
    event.set()
    pause(3600, event)


def test_the_threads_of_a_pool_stop_with_the_one_that_made_it() -> None:
    with stoppable(stop), pool(2) as threads, pytest.raises(Stopped):
        threads.submit(check).result()
    with pool(2) as threads:
        threads.submit(check).result()

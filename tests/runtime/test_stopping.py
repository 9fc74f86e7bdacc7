"""Long work asks in its own thread whether it is to stop."""

import threading

import pytest

from pybuild.runtime.stopping import asked, check, stoppable


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
    asked()()
    with stoppable(stop), stoppable(asked()), pytest.raises(Stopped):
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

import queue
import threading
import time

import pytest

from pybuild.builder.plan.ops import Mkdir, Run, Scratch
from pybuild.builder.plan.plan import Plan, Vertex
from pybuild.builder.solve.schedule import News, Passed, _Threads, chains_of_runs, run_in_order
from tests.helpers.waiting import PATIENCE


def test_all_that_wait_for_nothing_run_at_once():
    meeting = threading.Barrier(100)
    run_in_order(dict.fromkeys(range(100), ()), lambda _: meeting.wait(PATIENCE), threading.Event())
    assert meeting.n_waiting == 0


@pytest.mark.parametrize("jobs", [1, 3])
def test_jobs_are_a_hard_limit(jobs):
    lock, inside, most, meeting = threading.Lock(), set(), [], threading.Barrier(jobs)

    def work(place):
        with lock:
            inside.add(place)
            most.append(len(inside))
        meeting.wait(PATIENCE)
        time.sleep(0.01)  # so that one too many is seen
        with lock:
            inside.remove(place)

    run_in_order(dict.fromkeys(range(12), ()), work, threading.Event(), jobs)
    assert max(most) == jobs


def test_each_comes_after_what_it_waits_for():
    order = []
    run_in_order({place: range(place) for place in range(20)}, order.append, threading.Event())
    assert order == list(range(20))


def test_after_a_failure_nothing_new_begins():
    cancel, begun = threading.Event(), []

    def work(place):
        begun.append(place)
        if place == 0:
            raise ValueError("it went wrong")
        cancel.wait(PATIENCE)

    with pytest.raises(ValueError, match="it went wrong"):
        run_in_order({0: (), 1: (), 2: (1,)}, work, cancel)
    assert cancel.is_set()
    assert 2 not in begun


@pytest.mark.parametrize("jobs", [2, 3])
def test_where_not_all_may_run_the_longest_chain_begins_first(jobs):
    # 0 to 3 stand alone, and 4 is the first of a chain: begun last, it would be alone at the end.
    waits_for = {0: (), 1: (), 2: (), 3: (), 4: (), 5: (4,), 6: (5,), 7: (0, 1, 2, 3, 6)}
    # None of the first ends before all of them have begun: who begins next would depend on the scheduler of the host.
    lock, begun, together = threading.Lock(), [], threading.Barrier(jobs)

    def work(place):
        with lock:
            begun.append(place)
            is_first = len(begun) <= jobs
        if is_first:
            together.wait(PATIENCE)

    run_in_order(waits_for, work, threading.Event(), jobs)
    assert 4 in begun[:jobs]
    assert sorted(begun) == list(range(8))


def test_one_at_a_time_goes_by_the_order_of_the_keys():
    order = []
    run_in_order(dict.fromkeys([3, 1, 2, 0], ()), order.append, threading.Event(), 1)
    assert order == [0, 1, 2, 3]


def test_calls_that_follow_one_another_share_a_thread():
    used = set()
    run_in_order(
        {place: range(place) for place in range(20)}, lambda _: used.add(threading.get_ident()), threading.Event()
    )
    assert len(used) == 1
    assert not {thread.ident for thread in threading.enumerate()} & used


def test_calls_that_have_no_thread_yet_are_dropped_after_a_failure():
    ended, begun, go = queue.SimpleQueue(), [], threading.Event()

    def work(place):
        begun.append(place)
        go.wait(PATIENCE)

    def fail():
        with _Threads(work, ended) as threads:
            threads.begin(0, 1)
            threads.begin(1, 1)
            threading.Timer(0.05, go.set).start()
            raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        fail()
    assert begun in ([0], [])
    assert ended.qsize() == len(begun)


def test_a_call_may_let_those_that_wait_for_it_begin_before_it_ends():
    news: News = queue.SimpleQueue()
    meeting = threading.Barrier(2)

    def work(place):
        if place == 0:
            news.put(Passed(0))
        meeting.wait(PATIENCE)

    run_in_order({0: (), 1: (0,)}, work, threading.Event(), news=news)
    assert not meeting.broken


def test_a_call_that_let_others_begin_is_waited_for_and_may_fail():
    news: News = queue.SimpleQueue()
    other = threading.Event()

    def work(place):
        if place == 1:
            other.set()
            return
        news.put(Passed(0))
        other.wait(PATIENCE)
        time.sleep(0.1)  # so that the end of the other one is seen before
        raise ValueError("late")

    with pytest.raises(ValueError, match="late"):
        run_in_order({0: (), 1: (0,)}, work, threading.Event(), news=news)


def test_jobs_count_a_call_until_it_ends():
    news: News = queue.SimpleQueue()
    inside = []

    def work(place):
        inside.append(place)
        news.put(Passed(place))
        time.sleep(0.1)
        assert inside == [place]
        inside.clear()

    run_in_order({0: (), 1: (0,)}, work, threading.Event(), 1, news)


def test_runs_in_a_chain_are_those_that_one_other_run_alone_waits_for():
    def run(*inputs):
        return Vertex(op=Run(args=("true",)), inputs=inputs)

    plan = Plan(
        vertices=(
            Vertex(op=Scratch()),
            run(0),
            run(1),  # in a chain
            Vertex(op=Mkdir(path="/d"), inputs=(2,)),
            run(3),  # on another op
            run(4, 4),  # mounts what it stands on
            run(5),
            run(5),  # two on one
            run(7, 6),  # in a chain, and waits for a mount
        )
    )
    waits_for = {index: set(vertex.inputs) for index, vertex in enumerate(plan.vertices)}
    assert list(chains_of_runs(plan, waits_for)) == [(1, 2), (7, 8)]

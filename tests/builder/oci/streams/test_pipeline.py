import threading
from collections.abc import Iterator

import pytest

from pybuild.builder.oci.streams.pipeline import PipeStage, Pool, read_ahead


class Broken(Exception):
    pass


def own_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("layer")]


def put_all(stage: PipeStage[int] | Pool[int, int]) -> None:
    for item in range(100):
        stage.put(item)
    stage.close()


def test_a_single_item_needs_no_thread() -> None:
    threads: list[threading.Thread] = []
    stage = PipeStage[int](lambda _: threads.append(threading.current_thread()))
    stage.put(1)
    stage.close()
    pool = Pool[int, int](lambda item: item, lambda _: threads.append(threading.current_thread()), 2)
    pool.put(1)
    pool.close()
    assert threads == [threading.current_thread()] * 2


def test_a_stage_works_in_order_in_another_thread() -> None:
    got: list[tuple[int, bool]] = []
    stage = PipeStage[int](lambda item: got.append((item, threading.current_thread() is threading.main_thread())))
    for item in range(50):
        stage.put(item)
    stage.close()
    assert got == [(item, False) for item in range(50)]
    assert own_threads() == []


def test_a_failure_reaches_who_puts_or_closes() -> None:
    def fail(_item: int) -> None:
        raise Broken

    stage = PipeStage[int](fail, depth=1)
    with pytest.raises(Broken):
        put_all(stage)
    with pytest.raises(Broken):
        stage.close()
    assert own_threads() == []


def test_a_pool_delivers_in_order_although_work_ends_in_another() -> None:
    last = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert last.wait(10)
        if item == 1:
            last.set()
        return item

    got: list[int] = []
    pool = Pool[int, int](work, got.append, 2)
    for item in range(30):
        pool.put(item)
    pool.close()
    assert got == list(range(30))
    assert own_threads() == []


@pytest.mark.parametrize("where", ["work", "deliver"])
def test_a_pool_gives_back_what_its_threads_raise(where: str) -> None:
    def work(item: int) -> int:
        if where == "work" and item == 3:
            raise Broken
        return item

    def deliver(item: int) -> None:
        if where == "deliver" and item == 3:
            raise Broken

    pool = Pool[int, int](work, deliver, 2)
    with pytest.raises(Broken):
        put_all(pool)
    pool.abort()
    assert own_threads() == []


def test_a_pool_holds_back_who_gives_it_too_much() -> None:
    allowed = threading.Semaphore(0)
    under_way: list[int] = []
    pool = Pool[int, int](lambda item: item, lambda _: (allowed.acquire(), None)[1], 2)

    def fill() -> None:
        for item in range(100):
            pool.put(item)
            under_way.append(item)
            if item == 90:
                break

    thread = threading.Thread(target=fill)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    assert len(under_way) < 12
    for _ in range(200):
        allowed.release()
    thread.join(10)
    pool.close()
    assert own_threads() == []


def test_nothing_is_delivered_after_an_abort() -> None:
    gate = threading.Event()
    got: list[int] = []

    def deliver(item: int) -> None:
        gate.wait(10)
        got.append(item)

    pool = Pool[int, int](lambda item: item, deliver, 2)
    for item in range(4):
        pool.put(item)
    threading.Timer(0.05, gate.set).start()
    pool.abort()
    pool.abort()
    assert len(got) <= 1
    assert [name for name in own_threads() if "block" in name] == []


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
def test_reading_ahead_yields_everything(count: int) -> None:
    assert list(read_ahead(iter(range(count)))) == list(range(count))
    assert own_threads() == []


def test_reading_ahead_forwards_failures_and_may_be_left_early() -> None:
    def pieces() -> Iterator[int]:
        yield from range(5)
        raise Broken

    with pytest.raises(Broken):
        list(read_ahead(pieces()))
    endless = read_ahead(iter(int, 1), depth=1)
    assert [next(endless) for _ in range(4)] == [0] * 4
    endless.close()
    assert own_threads() == []


def test_a_thread_that_cannot_be_started_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    stage: PipeStage[int] = PipeStage(lambda _: None)
    stage.put(1)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        stage.put(2)
    stage.abort()

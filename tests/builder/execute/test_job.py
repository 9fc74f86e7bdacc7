"""A job is plain data that names nothing of a host; and what is shown of the packing of files."""

import pickle
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType

from pybuild.builder.execute.job import FirstTimes, Job, SlowFiles
from pybuild.builder.store.store import Store
from tests.helpers.fake_execute import FakeExecute, Site

PLAIN = (str, int, float, bytes, NoneType)


def leaves(value: object) -> Iterator[object]:
    """All that a value holds, however deep."""
    if isinstance(value, tuple | frozenset):
        for item in value:
            yield from leaves(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from leaves(getattr(value, field.name))
    else:
        yield value


def test_a_job_is_plain_data_that_another_machine_could_be_given(tmp_path: Path, store: Store) -> None:
    jobs: list[Job] = []

    class Watched(FakeExecute):
        def __call__(self, work):
            jobs.append(work.job)
            return super().__call__(work)

    site = Site(store=store, context=tmp_path / "context", execute=Watched())
    site.context.mkdir()
    site.write({"f": "1"})
    site.solve("FROM scratch AS a\nRUN write /x 1\nFROM scratch\nCOPY f /f\nCOPY --from=a /x /y\nWORKDIR /w\n")
    assert len(jobs) == 4
    assert [item for job in jobs for item in leaves(job) if not isinstance(item, PLAIN)] == []
    assert pickle.loads(pickle.dumps(jobs)) == jobs


def test_a_job_that_holds_something_of_the_process_is_noticed(store: Store) -> None:
    assert [item for item in leaves(Job(op=store)) if not isinstance(item, PLAIN)] == [store]  # type: ignore[arg-type]


def shown(*calls: tuple[float, str, int, int]) -> list[tuple[str, int, int]]:
    """What comes of *calls*, each at its own time: (seconds, path, bytes done, bytes in all)."""
    seen: list[tuple[str, int, int]] = []
    times = iter([seconds for seconds, *_ in calls])
    watch = SlowFiles(lambda *event: seen.append(event), lambda: next(times))
    for _, path, done, size in calls:
        watch(path, done, size)
    return seen


def test_files_that_are_packed_in_a_moment_are_not_shown() -> None:
    assert shown((0, "a", 0, 9), (1.9, "a", 9, 9), (2, "b", 0, 5), (3.9, "b", 4, 5), (3.95, "b", 5, 5)) == []


def test_a_slow_file_is_shown_now_and_then_and_at_its_end() -> None:
    calls = [(0, "a", 0, 9), (2, "a", 3, 9), (2.1, "a", 4, 9), (2.4, "a", 6, 9), (2.5, "a", 9, 9), (2.6, "b", 1, 2)]
    assert shown(*calls) == [("packing /a", 3, 9), ("packing /a", 6, 9), ("packing /a", 9, 9)]


def test_the_first_who_asks_for_a_name_is_told_so() -> None:
    times = FirstTimes()
    assert [times.is_first(name) for name in ("a", "b", "a", "b")] == [True, True, False, False]

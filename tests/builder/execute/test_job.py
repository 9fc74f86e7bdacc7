"""A job is plain data that names nothing of a host; and what is shown of the packing of files."""

import pickle
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path, PurePosixPath
from types import NoneType

from pybuild.builder.execute.job import Job, SlowFiles
from pybuild.builder.request import Device, Execution, Resources, Rights, Secret, Volume
from pybuild.builder.request.step_settings import HostInputs, StepSettings, host_inputs, rights_of, step_settings
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


def everything() -> Execution:
    """An execution with something in each field that this host alone has, and in one of each other kind."""
    target, path = PurePosixPath("/t"), Path("/host")
    volume = Volume(host_path=path, target=target)
    rights = Rights(
        cap_add=("CAP_SYS_ADMIN",),
        groups=("7",),
        devices=(Device(host_path=path, target=target),),
        env=(("A", "host"),),
        volumes=(volume,),
        seccomp="",
        no_new_privileges=True,
    )
    return Execution(
        source_date_epoch=1,
        secrets=(Secret(id="s", file=path),),
        ssh=(("default", path),),
        resources=Resources(memory=6 << 20, cgroup_parent="/host"),
        volumes=(volume,),
        rights=rights,
        resolv_conf="nameserver 192.0.2.1",
        step_timeout=2.0,
    )


def test_what_only_this_host_has_is_not_in_the_settings_of_a_step() -> None:
    execution = everything()
    settings, host = step_settings(execution), host_inputs(execution)
    assert [item for item in leaves(settings) if not isinstance(item, PLAIN)] == []
    assert "host" not in "".join(item for item in leaves(settings) if isinstance(item, str))
    assert (settings.source_date_epoch, settings.step_timeout, settings.resources.memory) == (1, 2.0, 6 << 20)
    assert all(getattr(host, field.name) for field in fields(HostInputs))
    assert rights_of(settings, host) == execution.rights


def test_each_field_of_an_execution_reaches_a_step_or_is_one_of_the_whole_build() -> None:
    parts = {field.name for part in (StepSettings, HostInputs) for field in fields(part)}
    given = {field.name for field in fields(Execution)} | {field.name for field in fields(Rights)}
    assert given - parts == {"jobs", "timeout", "rights", "env"}
    assert parts - given == {"cgroup_parent", "device_env", "device_volumes"}


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

import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from pybuild.builder.errors import BuildError, Cancelled, StepFailed
from pybuild.builder.progress import StepFinished, StepOutput, StepStarted
from pybuild.builder.solve.lookup import Lookup
from pybuild.builder.store.store import open_store
from tests.builder.solve.test_solver import TWO_STAGES
from tests.helpers.fake_execute import FakeExecute, Site

forget = Lookup.release_inputs


def text_in(site, layer):
    """The text of the only file of a layer."""
    with site.store.blobs.open(layer.descriptor) as blob, tarfile.open(fileobj=blob, mode="r:gz") as archive:
        (member,) = archive
        return archive.extractfile(member).read().decode()


def test_the_layers_of_earlier_steps_are_not_kept(site, monkeypatch):
    made = []
    monkeypatch.setattr(
        Lookup, "release_inputs", lambda self, index: (forget(self, index), made.append(sorted(self.solved)))
    )
    site.solve("FROM scratch\n" + "".join(f"RUN write /{number} x\n" for number in range(20)))
    assert len(made) == 20
    assert max(map(len, made)) == 1


def test_independent_steps_run_at_the_same_time(site):
    site.execute.meeting = threading.Barrier(2)
    text = "FROM base AS a\nRUN meet a\nFROM base AS b\nRUN meet b\nFROM base\n"
    ran = site.ran(text + "COPY --from=a /met /a\nCOPY --from=b /met /b\n")
    assert sorted(ran[:2]) == ["meet a", "meet b"]
    assert ran[2:] == ["copy to /a", "copy to /b"]


def test_what_succeeded_before_a_failure_stays_in_the_cache(site):
    with pytest.raises(StepFailed) as caught:
        site.solve("FROM base\nRUN write /a 1\nRUN fail\n")
    failed = caught.value
    assert (failed.message, failed.hint, failed.lines, failed.step) == (
        "it went wrong",
        "do better",
        (3, 3),
        "[3/3] RUN fail",
    )
    assert site.ran("FROM base\nRUN write /a 1\nRUN write /b 1\n") == ["write /b 1"]


def test_steps_that_do_the_same_run_once_in_a_build(site):
    text = "FROM base AS a\nRUN write /x 1\nFROM base AS b\nRUN write /x 1\nFROM base\n"
    ran = site.ran(text + "COPY --from=a /x /a\nCOPY --from=b /x /b\n")
    assert ran == ["write /x 1", "copy to /a", "copy to /b"]


def test_two_builds_at_once_run_a_step_once(site):
    site.write({"Dockerfile": TWO_STAGES})
    execute, root = FakeExecute(), site.store.root
    start = threading.Barrier(2)

    def build(_):
        store = open_store(root)
        try:
            start.wait(20)
            return Site(store=store, context=site.context, execute=execute).solve()
        finally:
            store.close()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(build, range(2))
    assert first == second
    assert sorted(execute.calls) == ["copy to /copied", "write /last x", "write /out first"]


def test_an_interrupt_stops_what_runs_and_is_told_as_such(site):
    with pytest.raises(Cancelled):
        site.solve("FROM base\nRUN write /a 1\nRUN interrupt\n")
    cancelled = [event for event in site.events if isinstance(event, StepFinished) and event.cancelled]
    assert len(cancelled) == 1
    assert site.ran("FROM base\nRUN write /a 1\n") == []


def test_a_failure_stops_the_steps_beside_it(site):
    site.execute.meeting = threading.Barrier(1)
    text = "FROM base AS a\nRUN fail\nFROM base AS b\nRUN write /b 1\nRUN write /c 1\nFROM base\n"
    with pytest.raises(StepFailed, match="it went wrong"):
        site.solve(text + "COPY --from=a / /\nCOPY --from=b / /\n")
    assert "copy to /" not in site.execute.calls


def test_a_missing_source_fails_before_anything_runs(site):
    with pytest.raises(BuildError, match='"/nowhere": not found'):
        site.solve("FROM base\nRUN write /a 1\nCOPY nowhere /\n")
    assert site.execute.calls == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("FROM base\nRUN write /a 1\nCOPY nowhere /\n", 3),
        ("FROM base\nCOPY there /\nCOPY nowhere /\n", 3),
        ("FROM base AS one\nRUN write /a 1\nFROM base\nCOPY --from=one /nowhere /\n", 4),
    ],
)
def test_a_missing_source_is_the_fault_of_the_step_that_names_it(site, text, line):
    site.write({"there": "1"})
    with pytest.raises(StepFailed, match='"/nowhere": not found') as caught:
        site.solve(text)
    assert caught.value.lines == (line, line)
    # It begins, and is the only one that ends with an error, not the context or the stage that was searched.
    names = {event.step: event.name for event in site.events if isinstance(event, StepStarted)}
    ended = [names[event.step] for event in site.events if isinstance(event, StepFinished) and event.error]
    assert ended == [caught.value.step]


def test_steps_are_announced_once_and_end_once(site):
    site.solve(TWO_STAGES)
    started = [event.step for event in site.events if isinstance(event, StepStarted)]
    finished = [event.step for event in site.events if isinstance(event, StepFinished)]
    assert started == list(range(1, len(started) + 1))
    assert sorted(finished) == started


COUNTED = "FROM base AS one\nRUN count /out\nFROM base\nCOPY --from=one /out /copied\n"


def test_what_a_command_made_anew_is_never_recorded_under_the_key_of_what_it_made_before(site):
    old = text_in(site, site.solve(COUNTED)[-1])
    assert text_in(site, site.solve(no_cache=True)[-1]) != old
    assert text_in(site, site.solve(COUNTED.replace("count /out", f"write /out {old}"))[-1]) == old


def test_what_a_command_made_in_place_of_a_lost_layer_is_never_recorded_as_the_lost_one(site):
    copied = site.solve(COUNTED + "RUN write /last x\n")[1]
    old = text_in(site, copied)
    for lost in (copied, site.solve(target="one")[-1]):
        site.store.blobs.remove(lost.descriptor.digest)
    assert text_in(site, site.solve()[1]) != old
    assert text_in(site, site.solve(COUNTED.replace("count /out", f"write /out {old}"))[-1]) == old


def test_a_wait_for_another_build_at_the_same_step_is_told(site, monkeypatch):
    monkeypatch.setattr("pybuild.builder.store.locks._SAY_AFTER", 0.0)
    other = open_store(site.store.root)
    site.solve("FROM base\nRUN write /x 1\n")
    key = str(max(site.store.cache.records(), key=lambda record: record[2])[0])
    site.store.cache.forget([key])
    with ThreadPoolExecutor(1) as pool, ExitStack() as held:
        held.enter_context(other.locks.exclusive(key))
        build = pool.submit(site.ran)
        while not any(b"waiting for another build" in event.data for event in outputs(site)):
            assert not build.done()
            time.sleep(0.01)
        held.close()
        assert build.result() == ["write /x 1"]
    other.close()


def outputs(site):
    return [event for event in list(site.events) if isinstance(event, StepOutput)]


def test_a_base_is_unpacked_as_a_step_of_its_own_before_the_first_that_runs_on_it(site):
    site.solve("FROM base\nRUN write /a 1\nRUN write /b 1\n")
    names = [event.name for event in site.events if isinstance(event, StepStarted)]
    assert names == [
        "[1/3] FROM docker.io/library/base:latest",
        "unpacking docker.io/library/base:latest",
        "[2/3] RUN write /a 1",
        "[3/3] RUN write /b 1",
    ]
    site.events.clear()
    site.solve("FROM base\nRUN write /c 1\n")
    assert not [event for event in site.events if isinstance(event, StepStarted) and "unpacking" in event.name]


def test_an_image_that_files_are_copied_from_is_unpacked_before_they_are(site):
    site.solve("FROM scratch\nCOPY --from=base /bin/sh /\n")
    names = [event.name for event in site.events if isinstance(event, StepStarted)]
    assert names.index("unpacking docker.io/library/base:latest") < names.index("[1/1] COPY --from=base /bin/sh /")

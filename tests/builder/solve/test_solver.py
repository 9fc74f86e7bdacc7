import time

import pytest

from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.keys import MEANING
from pybuild.builder.plan.ops import Pick, Run
from pybuild.builder.progress import LayerMade, StepFinished, StepStarted

TWO_STAGES = """
    FROM base AS one
    RUN write /out first
    FROM base
    COPY --from=one /out /copied
    RUN write /last x
    """


def cached_steps(site):
    names = {event.step: event.name for event in site.events if isinstance(event, StepStarted)}
    return [names[event.step] for event in site.events if isinstance(event, StepFinished) and event.cached]


def test_a_build_runs_every_step_once_and_a_second_one_none(site):
    assert site.ran(TWO_STAGES) == ["write /out first", "copy to /copied", "write /last x"]
    site.events.clear()
    assert site.ran() == []
    assert cached_steps(site) == [
        "[one 1/2] FROM docker.io/library/base:latest",
        "[one 2/2] RUN write /out first",
        "[stage-1 2/3] COPY --from=one /out /copied",
        "[stage-1 3/3] RUN write /last x",
    ]


def test_the_end_of_a_step_reports_its_layer_whether_it_ran_or_was_cached(site):
    site.solve(TWO_STAGES)
    ran = {event.step: event.layer for event in site.events if isinstance(event, StepFinished) and event.layer}
    site.events.clear()
    *_, last = site.solve()
    ends = [event.layer for event in site.events if isinstance(event, StepFinished) and event.layer]
    assert len(ran) == 3
    assert ends == [LayerMade(digest=str(last.digest), diff_id=str(last.diff_id), size=last.size)]
    assert ends[0] in ran.values()


def test_a_cached_build_gives_the_same_image(site):
    assert site.image(TWO_STAGES).id == site.image().id


def test_the_layers_of_the_target_are_those_of_its_base_and_its_steps(site):
    assert len(site.solve(TWO_STAGES)) == 3
    assert len(site.solve(TWO_STAGES, target="one")) == 2
    assert site.solve("FROM scratch\n") == ()
    assert len(site.solve("FROM base\n")) == 1


def test_only_what_the_target_needs_runs(site):
    text = "FROM base AS a\nRUN fail\nFROM base AS b\nRUN write /b x\nFROM base\nCOPY --from=b /b /\n"
    assert site.ran(text) == ["write /b x", "copy to /"]


def test_a_change_runs_again_only_what_comes_after_it(site):
    site.solve("FROM base\nRUN write /a 1\nRUN write /b 1\nRUN write /c 1\n")
    ran = site.ran("FROM base\nRUN write /a 1\nRUN write /b 2\nRUN write /c 1\n")
    assert ran == ["write /b 2", "write /c 1"]


def test_a_changed_stage_whose_copied_file_is_the_same_changes_nothing_behind_it(site):
    site.solve(TWO_STAGES)
    changed = TWO_STAGES.replace("RUN write /out first", "RUN write /other 1\n    RUN write /out first")
    assert site.ran(changed) == ["write /other 1", "write /out first"]
    assert site.ran() == []


def test_a_changed_file_runs_again_what_copies_it_and_nothing_else(site):
    site.write({"a": "1", "b": "1"})
    text = "FROM base\nCOPY a /a\nRUN write /x 1\nCOPY b /b\n"
    site.solve(text)
    site.write({"b": "2"})
    assert site.ran() == ["copy to /b"]
    site.write({"unused": "1"})
    assert site.ran() == []
    site.write({"a": "2"})
    assert site.ran() == ["copy to /a", "write /x 1", "copy to /b"]


def test_going_back_to_former_content_finds_it_in_the_cache(site):
    site.write({"a": "1"})
    first = site.solve("FROM base\nCOPY a /a\n")
    site.write({"a": "2"})
    site.solve()
    site.write({"a": "1"})
    site.execute.taken()
    assert site.solve() == first
    assert site.execute.taken() == []


def test_no_cache_runs_everything_again_and_keeps_the_results(site):
    site.solve(TWO_STAGES)
    assert len(site.ran(no_cache=True)) == 3
    assert site.ran() == []


def test_a_step_whose_blob_is_gone_runs_again(site):
    layers = site.solve("FROM base\nRUN write /a 1\nRUN write /b 1\n")
    site.store.blobs.remove(layers[-1].descriptor.digest)
    assert site.ran() == ["write /b 1"]


def test_a_mount_of_the_context_makes_its_content_count(site):
    site.write({"src/f": "1", "other": "1"})
    text = "FROM base\nRUN --mount=source=src,target=/m write /x 1\n"
    assert site.ran(text) == ["copy to /src", "write /x 1"]
    site.write({"other": "2"})
    assert site.ran() == []
    site.write({"src/f": "2"})
    assert site.ran() == ["copy to /src", "write /x 1"]


LINK = "FROM base\nRUN write /own {0}\nCOPY --link f /d/f\nRUN write /last x\n"


def test_a_linked_copy_is_not_made_again_on_another_root(site):
    site.write({"f": "1"})
    first = site.solve(LINK.format(1))
    assert site.ran(LINK.format(2)) == ["write /own 2", "write /last x"]
    second = site.solve()
    assert second[2] == first[2]
    assert second[1] != first[1]
    assert site.ran() == []


def test_a_linked_copy_is_made_again_when_its_files_change(site):
    site.write({"f": "1"})
    site.solve(LINK.format(1))
    site.write({"f": "2"})
    assert site.ran(LINK.format(1)) == ["copy to /d/f", "write /last x"]


def test_what_stands_on_a_linked_copy_depends_on_the_whole_root(site):
    site.write({"f": "1"})
    text = "FROM base\nRUN write /own {0}\nCOPY --link f /d/f\nRUN count /n\n"
    first, second = site.solve(text.format(1)), site.solve(text.format(2))
    assert first[3] != second[3]


def test_the_stage_that_a_linked_copy_reads_is_not_run_for_another_root(site):
    text = "FROM base AS made\nRUN write /out 1\nFROM base\nRUN write /own {0}\nCOPY --link --from=made /out /d/\n"
    site.solve(text.format(1))
    made = site.solve(target="made")[1]
    site.store.database.run("DELETE FROM records WHERE layers LIKE ?", (f"%{made.diff_id}%",))
    assert site.ran(text.format(2)) == ["write /own 2"]


def test_a_linked_copy_with_a_named_owner_is_made_for_each_root(site):
    site.write({"f": "1"})
    text = "FROM base\nRUN write /own {0}\nCOPY --link --chown={1} f /d/f\n"
    for owner, again in (("root", ["write /own 2", "copy to /d/f"]), ("0:0", ["write /own 2"])):
        site.store.cache.forget_all()
        site.solve(text.format(1, owner))
        assert site.ran(text.format(2, owner)) == again


def test_a_linked_copy_is_made_again_when_its_layer_is_gone_or_nothing_may_be_taken(site):
    site.write({"f": "1"})
    site.solve(LINK.format(1))
    assert "copy to /d/f" in site.ran(LINK.format(1), no_cache=True)
    # The directory that the copy makes is as old as the copy: which layer is recorded depends on the second.
    layers = site.solve(LINK.format(1))
    site.store.blobs.remove(layers[2].descriptor.digest)
    assert "copy to /d/f" in site.ran(LINK.format(2))


def test_a_linked_copy_goes_on_an_empty_root_as_well(site):
    site.write({"f": "1"})
    first = site.solve("FROM base\nCOPY --link f /d/f\n")
    assert site.ran("FROM scratch\nCOPY --link f /d/f\n") == []
    assert site.solve() == first[1:]


def test_a_step_may_mount_the_context_and_a_stage_at_once(site):
    site.write({"f": "1"})
    text = "FROM base AS one\nRUN write /out 1\nFROM base\n"
    text += "RUN --mount=source=f,target=/f --mount=from=one,source=out,target=/m write /x 1\n"
    assert site.ran(text)[-1] == "write /x 1"
    assert site.ran() == []
    site.write({"f": "2"})
    assert site.ran()[-1] == "write /x 1"


class OtherStore:
    """Another store, with its *records* by key, whose blobs are here."""

    def __init__(self, records):
        self.record = records.get

    def selection(self, _key):
        return None

    def fill_mount(self, _name, _directory):
        return False


def test_a_context_that_is_mounted_is_never_that_of_another_store(site):
    site.write({"f": "1", "g": "2"})
    text = "FROM base\nCOPY g /g\nRUN --mount=source=f,target=/f write /x 1\n"
    assert sorted(site.ran(text)) == ["copy to /f", "copy to /g", "write /x 1"]
    site.store = site.store.consulting(OtherStore({Digest.parse(key): layers for key, layers, _ in records(site)}))
    site.store.cache.forget([key for key, _, _ in records(site)])
    assert site.ran(text.replace("write /x 1", "write /x 2")) == ["copy to /f", "write /x 2"]


def records(site):
    return list(site.store.cache.records())


def test_an_epoch_makes_other_layers(site):
    site.write({"f": "1"})
    site.solve("FROM base\nCOPY f /f\n")
    assert site.ran(source_date_epoch=1000) == ["copy to /f"]
    assert site.ran(source_date_epoch=1000) == []


def test_a_step_of_before_its_process_was_number_one_runs_again(site, monkeypatch):
    with monkeypatch.context() as before:
        before.setitem(MEANING, Run, 1)
        site.solve("FROM base\nRUN write /a 1\n")
    assert site.ran() == ["write /a 1"]
    assert site.ran() == []


@pytest.mark.parametrize(
    "text", ["FROM base\nCOPY f /copied\n", "FROM base AS one\nRUN write /f 1\nFROM base\nCOPY --from=one /f /copied\n"]
)
def test_what_selections_held_when_other_things_counted_as_content_is_looked_at_again(site, monkeypatch, text):
    # Files as young as the clock are not remembered.
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 10_000_000_000)
    site.write({"f": "1"})
    with monkeypatch.context() as before:
        before.setitem(MEANING, Pick, 1)
        site.solve(text)
    database = site.store.database
    assert database.one("SELECT count(*) FROM selections") != (0,)
    database.run("UPDATE selections SET content = ?", (str(Digest.of(b"as it was")),))
    assert site.ran() == []

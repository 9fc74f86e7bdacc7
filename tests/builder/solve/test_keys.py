"""The keys of the vertices of a plan: which are known before anything is executed, and which later."""

from pathlib import Path

import pytest

from pybuild.builder.content.context import Sources
from pybuild.builder.content.selections import Selections
from pybuild.builder.errors import StepFailed
from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.keys import key, own_key, selection_key
from pybuild.builder.plan.ops import Copy, Local, Mkdir, Pick, Run, Scratch
from pybuild.builder.plan.plan import Plan, Vertex
from pybuild.builder.progress import silent
from pybuild.builder.reporter import Reporter, Steps
from pybuild.builder.request import Files
from pybuild.builder.solve.keys import VertexKeys
from pybuild.builder.store.store import Store

FROM_STAGE = Copy(sources=(Pick(path="out", input=1),), destination="/")
LINKED = Copy(sources=(Pick(path="file", input=1),), destination="/x", link=True)
PLAN = Plan(
    vertices=(
        Vertex(op=Scratch()),
        Vertex(op=Run(args=("make",)), inputs=(0,), name="RUN make"),
        Vertex(op=FROM_STAGE, inputs=(0, 1), name="COPY"),
        Vertex(op=Local()),
        Vertex(op=LINKED, inputs=(2, 3), name="COPY --link"),
        Vertex(op=Mkdir(path="/d"), inputs=(2,), name="WORKDIR /d"),
    )
)
CONTENT = Digest.of(b"content")


def keys_of(store: Store, context: Path, epoch: int | None = None) -> VertexKeys:
    with Sources(Files(context=context), store, lambda: False) as sources:
        keys = VertexKeys(PLAN, Selections(PLAN, store, sources), Steps(PLAN, Reporter(silent)), epoch)
        keys.compute()
        return keys


def test_what_depends_on_the_files_of_a_stage_has_no_key_before_the_stage_ran(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a")
    keys = keys_of(store, tmp_path)
    # A COPY --link has the key of its own layer all the same: no file of its rootfs counts.
    assert (set(keys.by_index), set(keys.all_own())) == ({0, 1}, {4})
    assert keys.own(4) == own_key(LINKED, keys.contents[4])


def test_what_an_earlier_build_found_in_a_stage_gives_the_keys_at_once(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a")
    stage = keys_of(store, tmp_path).by_index[1]
    store.cache.put_selection(selection_key(FROM_STAGE, FROM_STAGE.sources[0], stage), CONTENT)  # type: ignore[arg-type]
    keys = keys_of(store, tmp_path)
    assert set(keys.by_index) == {0, 1, 2, 4, 5}
    assert keys.by_index[2] == key(FROM_STAGE, keys.by_index[0], (CONTENT,))
    assert keys.settled == set()


def test_a_vertex_is_settled_by_the_files_that_it_really_selects(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a")
    keys = keys_of(store, tmp_path)
    keys.settle(2, (CONTENT,))
    assert keys.settled == {2}
    assert keys.by_index[2] == key(FROM_STAGE, keys.by_index[0], (CONTENT,))


def test_the_content_of_a_file_changes_the_key_and_an_epoch_does(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a")
    before, dated = keys_of(store, tmp_path), keys_of(store, tmp_path, epoch=1)
    (tmp_path / "file").write_text("other")
    after = keys_of(store, tmp_path)
    assert len({before.own(4), dated.own(4), after.own(4)}) == 3
    assert before.by_index[0] == dated.by_index[0]


def test_a_missing_file_is_the_failure_of_the_step_that_copies_it(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StepFailed) as failure:
        keys_of(store, tmp_path)
    assert "COPY --link" in failure.value.step

import json
from collections import Counter
from pathlib import Path

import pytest

from pybuild.builder.content.context import with_surroundings
from pybuild.builder.errors import BuildError
from pybuild.builder.graph.new_plan import make_new_plan
from pybuild.builder.graph.planner_process import GraphProcess
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.model import ContainerConfig
from pybuild.builder.plan.ops import Base, Copy, Http, Local, Run, Scratch
from pybuild.builder.plan.plan import Definition
from pybuild.builder.request import Request
from pybuild.builder.sources import bases
from pybuild.builder.sources.pins import Remotes
from pybuild.builder.store.store import open_store
from tests.helpers.images import tiny_image
from tests.helpers.resolving import BASE, marked
from tests.helpers.web import Web


@pytest.fixture
def store(tmp_path, monkeypatch):
    def nowhere(reference, *_):
        raise BuildError(f"{reference}: not found", hint="bring it in")

    monkeypatch.setattr(bases, "_ask", nowhere)
    opened = open_store(tmp_path / "store")
    opened.layout.tag(BASE, tiny_image(opened.blobs, {"f": b"1"}).descriptor)
    yield opened
    opened.close()


def plan_of(store, text, **request):
    asked = Request.of(context=Path(), **request)
    remotes = Remotes(asked.execution, store)
    definition = with_surroundings(Definition("Dockerfile", text), asked.files, ignored="")
    return make_new_plan(definition, asked.planning, remotes, GraphProcess(), pull=asked.caches.pull)


def test_a_plan_has_the_work_the_config_and_the_pins(store):
    plan = plan_of(store, "FROM base\nENV a=1\nRUN x\n")
    assert [type(vertex.op) for vertex in plan.vertices] == [Base, Run]
    config = json.loads(plan.config)
    assert "a=1" in config["config"]["Env"]
    assert config["history"][-1]["created_by"] == "RUN /bin/sh -c x # buildkit"
    assert config["rootfs"]["diff_ids"] in ([], None)
    assert [name for name, _ in plan.pins] == [BASE]


def test_images_that_only_triggers_ask_for_are_pinned_too(store):
    other = tiny_image(store.blobs, {"x": b"1"})
    store.layout.tag("docker.io/library/other:latest", other.descriptor)
    parent = tiny_image(store.blobs, {}, container=ContainerConfig(on_build=("COPY --from=other /x /",)))
    store.layout.tag("docker.io/library/parent:latest", parent.descriptor)
    plan = plan_of(store, "FROM parent\n")
    assert [name for name, _ in plan.pins] == ["docker.io/library/other:latest", "docker.io/library/parent:latest"]


def test_an_image_of_an_unused_stage_is_not_asked_for(store):
    assert plan_of(store, "FROM missing AS a\nFROM base\n").vertices


def test_a_missing_image_is_told_where_it_is_asked_for_with_the_stage_that_was_meant(store):
    text = "FROM base AS builder\nFROM scratch\nCOPY --from=bulder /f /\n"
    with pytest.raises(BuildError, match="/bulder:latest: not found") as caught:
        plan_of(store, text)
    assert marked(text, caught.value.span) == "bulder"
    assert "builder" in caught.value.hint


def test_a_missing_image_that_is_like_no_stage_keeps_its_own_hint(store):
    with pytest.raises(BuildError) as caught:
        plan_of(store, "FROM elsewhere\n")
    assert caught.value.hint == "bring it in"


def test_an_empty_platform_is_refused_where_it_stands(store):
    text = "FROM --platform=$nothing base\n"
    with pytest.raises(BuildError, match=r"empty platform value from expression \$nothing") as caught:
        plan_of(store, text)
    assert marked(text, caught.value.span) == "$nothing"


def test_warnings_go_with_the_plan(store):
    plan = plan_of(store, "FROM base\n", build_args=(("unused", "1"),))
    assert "unused" in plan.warnings[0][0]


def test_remote_sources_are_pinned_and_told_where_they_stand(store):
    with Web() as web:
        web.files["/a"] = b"1"
        plan = plan_of(store, f"FROM base\nARG u={web.url('/a')}\nADD $u {web.url('/a')} /d/\n")
        (source,) = [vertex.op for vertex in plan.vertices if isinstance(vertex.op, Http)]
        assert source.url == web.url("/a")
        assert plan.pins[-1] == (f"http {web.url('/a')}", f"{source.digest} {source.mtime}")
        text = f"FROM base\nADD {web.url('/b')} /d/\n"
        with pytest.raises(BuildError, match="status 404") as caught:
            plan_of(store, text)
        assert marked(text, caught.value.span) == web.url("/b")


def test_what_a_checksum_names_has_no_pin(store):
    digest = Digest.of(b"1")
    with Web() as web:
        web.files["/a"] = b"1"
        text = f"FROM scratch\nADD --checksum={digest} {web.url('/a')} /d/\n"
        assert plan_of(store, text).pins == ()
    assert plan_of(store, text).vertices, "not even the server is needed again"


def test_a_named_context_is_a_base_a_source_or_a_directory(store, tmp_path):
    contexts = (("one", str(tmp_path)), ("img", "docker-image://base"))
    plan = plan_of(store, "FROM one AS x\nFROM img\nCOPY --from=x / /\nCOPY --from=one / /\n", contexts=contexts)
    assert Counter(type(vertex.op) for vertex in plan.vertices) == {Base: 1, Scratch: 1, Local: 1, Copy: 3}
    assert [vertex.op.name for vertex in plan.vertices if isinstance(vertex.op, Local)] == ["one"]
    assert [name for name, _ in plan.pins] == [BASE]

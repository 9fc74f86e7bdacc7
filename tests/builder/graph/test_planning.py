from dataclasses import replace
from pathlib import Path

import pytest

from pybuild.builder.content.context import read_ignore_text, with_surroundings
from pybuild.builder.errors import RequestError
from pybuild.builder.graph import new_plan, planning
from pybuild.builder.graph.planning import check_images, requested_images
from pybuild.builder.outputs.docker import DockerOutput
from pybuild.builder.outputs.local import LocalOutput
from pybuild.builder.outputs.oci import OciOutput
from pybuild.builder.plan.plan import Definition
from pybuild.builder.request import Annotation, Planning, Request, Result, Target
from pybuild.builder.sources.pins import Remotes
from pybuild.builder.store.store import open_store
from tests.helpers.images import ARM64, tiny_image, tiny_index
from tests.helpers.resolving import BASE

ANY = Planning(network="none", target="last")
TEXT = Definition("Dockerfile", "FROM base\nARG a\nRUN x\n")


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path / "store")
    opened.layout.tag(BASE, tiny_image(opened.blobs, {"f": b"1"}).descriptor)
    yield opened
    opened.close()


@pytest.fixture
def request_(tmp_path):
    """What is asked for: a context with nothing in it."""
    for name in ("context", "elsewhere"):
        (tmp_path / name).mkdir()
    return Request.of(context=tmp_path / "context")


@pytest.fixture
def planned(monkeypatch):
    """Counts how often a plan was made from scratch."""
    calls = []
    real = new_plan.make_new_plan
    monkeypatch.setattr(new_plan, "make_new_plan", lambda *args, **more: calls.append(args) or real(*args, **more))
    return calls


def plan_of(definition, request, store):
    remotes = Remotes(request.execution, store)
    whole = with_surroundings(definition, request.files, read_ignore_text(request.files))
    return planning.plan_all(whole, [request.planning], remotes, pull=request.caches.pull)[0]


def test_a_plan_is_made_once_for_the_same_text_and_request(store, request_, planned):
    first = plan_of(TEXT, request_, store)
    assert plan_of(TEXT, request_, store) == first
    assert len(planned) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"build_args": (("a", "1"),)},
        {"target": "0"},
        {"labels": (("a", "1"),)},
        {"network": "none"},
        {"add_hosts": (("h", "1.2.3.4"),)},
    ],
)
def test_a_request_that_asks_for_something_else_gets_its_own_plan(store, request_, planned, change):
    first = plan_of(TEXT, request_, store)
    assert plan_of(TEXT, request_.changed(**change), store).vertices
    assert len(planned) == 2
    assert plan_of(TEXT, request_, store) == first


@pytest.mark.parametrize("change", [{"no_cache": True}, {"tags": ("x",)}, {"context": "elsewhere"}])
def test_what_does_not_change_the_work_does_not_change_the_plan(store, request_, planned, change):
    plan_of(TEXT, request_, store)
    if "context" in change:
        change = {"context": request_.files.context.with_name(change["context"])}
    plan_of(TEXT, request_.changed(**change), store)
    assert len(planned) == 1


@pytest.mark.parametrize(
    "change", [{"name": "other"}, {"ignored": "x"}, {"address": "git@h.invalid:x.git"}, {"contexts": (("n", "/"),)}]
)
def test_all_of_a_definition_is_part_of_the_key(store, planned, change):
    request = Request.of(context=Path())
    for definition in (TEXT, replace(TEXT, **change)):
        planning.plan_all(definition, [request.planning], Remotes(request.execution, store))
    assert len(planned) == 2


def test_another_text_has_another_plan(store, request_, planned):
    plan_of(TEXT, request_, store)
    plan_of(Definition("Dockerfile", "FROM base\nRUN y\n"), request_, store)
    assert len(planned) == 2


def test_a_plan_holds_only_as_long_as_its_bases_are_the_same(store, request_, planned):
    first = plan_of(TEXT, request_, store)
    store.layout.tag(BASE, tiny_image(store.blobs, {"f": b"2"}).descriptor)
    second = plan_of(TEXT, request_, store)
    assert len(planned) == 2
    assert first.pins != second.pins


def test_a_base_is_pinned_by_the_manifest_for_the_platform(store, request_):
    images = [tiny_image(store.blobs, {"f": b"1"}), tiny_image(store.blobs, {"f": b"2"}, platform=ARM64)]
    store.layout.tag(BASE, tiny_index(store.blobs, *images))
    for platform, image in zip(("linux/amd64", "linux/arm64"), images, strict=True):
        plan = plan_of(TEXT, request_.changed(platform=platform), store)
        assert plan.pins == ((BASE, str(image.descriptor.digest)),)


def test_a_plan_that_cannot_be_read_is_made_again(store, request_, planned):
    plan_of(TEXT, request_, store)
    store.database.run("UPDATE plans SET document = '[]'")
    assert plan_of(TEXT, request_, store).vertices
    assert len(planned) == 2


def test_another_ignore_file_has_another_plan(store, request_, planned):
    plan_of(TEXT, request_, store)
    (request_.files.context / ".dockerignore").write_text("x")
    plan_of(TEXT, request_, store)
    assert len(planned) == 2


def test_one_image_is_planned_as_it_was_asked_for():
    (only,) = requested_images(Result(tags=("a",)), ANY)
    assert (only.step, only.tags, only.images, only.is_index) == (
        "exporting to image",
        ("a",),
        (("", ANY),),
        False,
    )


def test_each_target_has_its_stage_its_names_and_a_step():
    targets = (Target(stage="x", tags=("a",)), Target(stage="y"))
    found = requested_images(Result(targets=targets, tags=("unused",)), ANY)
    assert [(each.step, each.tags) for each in found] == [
        ("exporting x to image", ("a",)),
        ("exporting y to image", ()),
    ]
    assert [[(name, planning.target) for name, planning in each.images] for each in found] == [[("", "x")], [("", "y")]]
    assert all(planning.network == "none" for each in found for _, planning in each.images)


def test_platforms_are_one_index_in_normal_form_each_once():
    (index,) = requested_images(Result(platforms=("arm64", "linux/amd64", "linux/arm64"), tags=("a",)), ANY)
    assert index.is_index
    assert [(name, planning.platform) for name, planning in index.images] == [
        ("linux/arm64", "linux/arm64"),
        ("linux/amd64", "linux/amd64"),
    ]


def test_an_index_of_one_platform_is_an_index():
    (index,) = requested_images(Result(platforms=("linux/amd64",)), ANY)
    assert (index.is_index, len(index.images)) == (True, 1)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (
            Result(targets=(Target(stage="x"),), platforms=("arm64",)),
            "several targets cannot be combined with several platforms",
        ),
        (Result(targets=(Target(stage="x"),), outputs=(LocalOutput(dest=Path("x")),)), "type=local takes one target"),
        (
            Result(platforms=("arm64",), outputs=(DockerOutput(),)),
            "does not currently support exporting manifest lists",
        ),
        (
            Result(annotations=(Annotation(kind="index", key="k", value="v"),)),
            "index annotations not supported for single platform export",
        ),
    ],
)
def test_what_the_number_of_images_rules_out_is_refused(result, message):
    with pytest.raises(RequestError, match=message):
        check_images(result)


def test_the_rest_may_be_asked_for():
    check_images(Result(targets=(Target(stage="x"),), outputs=(OciOutput(),)))
    check_images(Result(platforms=("arm64",), annotations=(Annotation(kind="index", key="k", value="v"),)))

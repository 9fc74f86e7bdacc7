from dataclasses import replace
from pathlib import Path

import pytest

from builder import fresh, planning
from builder.dockerfile import DockerfileText
from builder.machine import open_machine
from builder.request import Request
from tests.helpers.images import ARM64, tiny_image, tiny_index
from tests.helpers.resolving import BASE

TEXT = DockerfileText("Dockerfile", "FROM base\nARG a\nRUN x\n")
REQUEST = Request(context=Path("context"))


@pytest.fixture
def machine(tmp_path):
    opened = open_machine(tmp_path / "store")
    opened.layout.tag(BASE, tiny_image(opened.blobs, {"f": b"1"}).descriptor)
    yield opened
    opened.close()


@pytest.fixture
def planned(monkeypatch):
    """Counts how often a plan was made from scratch."""
    calls = []
    real = fresh.fresh_plan
    monkeypatch.setattr(fresh, "fresh_plan", lambda *args: calls.append(args) or real(*args))
    return calls


def test_a_plan_is_made_once_for_the_same_text_and_request(machine, planned):
    first = planning.make_plan(TEXT, REQUEST, machine)
    assert planning.make_plan(TEXT, REQUEST, machine) == first
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
def test_a_request_that_asks_for_something_else_gets_its_own_plan(machine, planned, change):
    first = planning.make_plan(TEXT, REQUEST, machine)
    assert planning.make_plan(TEXT, replace(REQUEST, **change), machine).vertices
    assert len(planned) == 2
    assert planning.make_plan(TEXT, REQUEST, machine) == first


@pytest.mark.parametrize("change", [{"no_cache": True}, {"tags": ("x",)}, {"context": Path("elsewhere")}])
def test_what_does_not_change_the_work_does_not_change_the_plan(machine, planned, change):
    planning.make_plan(TEXT, REQUEST, machine)
    planning.make_plan(TEXT, replace(REQUEST, **change), machine)
    assert len(planned) == 1


def test_another_text_has_another_plan(machine, planned):
    planning.make_plan(TEXT, REQUEST, machine)
    planning.make_plan(DockerfileText("Dockerfile", "FROM base\nRUN y\n"), REQUEST, machine)
    assert len(planned) == 2


def test_a_plan_holds_only_as_long_as_its_bases_are_the_same(machine, planned):
    first = planning.make_plan(TEXT, REQUEST, machine)
    machine.layout.tag(BASE, tiny_image(machine.blobs, {"f": b"2"}).descriptor)
    second = planning.make_plan(TEXT, REQUEST, machine)
    assert len(planned) == 2
    assert first.pins != second.pins


def test_a_base_is_pinned_by_the_manifest_for_the_platform(machine):
    images = [tiny_image(machine.blobs, {"f": b"1"}), tiny_image(machine.blobs, {"f": b"2"}, platform=ARM64)]
    machine.layout.tag(BASE, tiny_index(machine.blobs, *images))
    for platform, image in zip(("linux/amd64", "linux/arm64"), images, strict=True):
        plan = planning.make_plan(TEXT, replace(REQUEST, platform=platform), machine)
        assert plan.pins == ((BASE, str(image.descriptor.digest)),)


def test_a_plan_that_cannot_be_read_is_made_again(machine, planned):
    planning.make_plan(TEXT, REQUEST, machine)
    machine.database.run("UPDATE plans SET document = '[]'")
    assert planning.make_plan(TEXT, REQUEST, machine).vertices
    assert len(planned) == 2

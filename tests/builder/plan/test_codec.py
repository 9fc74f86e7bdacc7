import json
from dataclasses import replace
from typing import get_args

import pytest

from pybuild.builder.plan import codec, ops
from pybuild.builder.plan.ops import Base, CacheMount, Copy, Git, Http, Inline, Mkdir, Pick, Run, Scratch, Script
from pybuild.builder.plan.plan import Plan, Vertex
from pybuild.runtime.values import frozen

RUN = Run(
    args=("sh", "-c", "x"),
    env=(("A", "1"),),
    mounts=(CacheMount(target="/c", mode=0o700),),
    scripts=(Script(path="/s", content="#!"),),
    proxies=(("HTTP_PROXY", "p"),),
)
COPY = Copy(
    sources=(Pick(path="a\udcff", input=1, unpack=True), Inline(name="i", content='"x"')), destination="/d/", link=True
)
HTTP = Http(digest="sha256:x", name="f", mtime=1, url="https://host/f")
GIT = Git(commit="0" * 40, subdir="d", url="https://host/x.git", ref="refs/heads/main")


@pytest.mark.parametrize(
    "value", [RUN, COPY, HTTP, GIT, Scratch(), Mkdir(path="/x"), Base(diff_ids=("a",), manifest="m")]
)
def test_an_op_comes_back_from_json_as_it_was(value):
    assert codec.decode(json.loads(json.dumps(codec.encode(value)))) == value


def test_a_plan_comes_back_from_json_as_it_was():
    vertices = (Vertex(op=Scratch()), Vertex(op=RUN, inputs=(0,), name="[1/1] RUN x", lines=(2, 3)))
    plan = Plan(vertices=vertices, config="{}", pins=(("a", "b"),), warnings=(("w", 1),))
    assert codec.decode(json.loads(json.dumps(codec.encode(plan)))) == plan


def test_what_is_aside_is_kept_in_a_plan_but_is_no_part_of_the_canonical_bytes():
    assert b"HTTP_PROXY" not in codec.canonical(RUN)
    assert "HTTP_PROXY" in json.dumps(codec.encode(RUN))
    assert codec.canonical(Base(diff_ids=("a",), manifest="m")) == codec.canonical(Base(diff_ids=("a",), reference="r"))


def test_where_a_remote_source_is_does_not_count_what_it_holds_does():
    assert codec.canonical(HTTP) == codec.canonical(replace(HTTP, url="https://mirror/f"))
    assert codec.canonical(GIT) == codec.canonical(replace(GIT, url="git@host:x.git", ref=""))
    assert codec.canonical(HTTP) != codec.canonical(replace(HTTP, mtime=2))
    assert codec.canonical(GIT) != codec.canonical(replace(GIT, subdir=""))


def test_the_class_of_an_op_is_part_of_its_bytes():
    assert codec.canonical(Pick(path="x", input=1)) != codec.canonical(Inline(name="x", content="1"))


@pytest.mark.parametrize(
    ("one", "other"),
    [(("a", "b"), ("ab",)), ((("a",), "b"), ("a", ("b",))), (("1",), (1,)), ((None,), ("None",)), ((), ((),))],
)
def test_different_parts_give_different_digests(one, other):
    assert codec.digest(*one) != codec.digest(*other)


def test_text_that_looks_like_an_op_is_not_one():
    assert codec.digest(Scratch()) != codec.digest('{"$":"Scratch"}')


def test_no_op_is_stored_under_the_names_of_its_class() -> None:
    assert {*get_args(ops.Op)} <= codec._STORED.keys()


@frozen
class NewMount:
    """A type of mount that the older ones share no form with."""

    target: str
    speed: int = 0


def test_a_new_mount_is_stored_under_its_own_names(monkeypatch) -> None:
    monkeypatch.setitem(codec._KINDS, "NewMount", NewMount)
    mount = NewMount(target="/x", speed=3)
    assert codec.canonical(mount) == b'{"$":"NewMount","speed":3,"target":"/x"}'
    assert codec.decode(json.loads(json.dumps(codec.encode(mount)))) == mount

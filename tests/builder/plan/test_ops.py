"""Ops are plain data: equal ones are equal, and what is for display only says so."""

from typing import get_args

import pytest

from pybuild.builder.plan.ops import ASIDE, Base, Copy, Git, Http, Inline, Mkdir, Op, Pick, Run, RunMount, SecretMount
from pybuild.runtime.values import fields, is_value


def aside(kind: type) -> set[str]:
    return {each.name for each in fields(kind) if each.metadata == ASIDE}


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (Base, {"manifest", "reference"}),
        (Http, {"url"}),
        (Git, {"url", "ref"}),
        (Copy, set()),
        (Mkdir, set()),
        (Run, {"proxies", "platform"}),
        *((kind, set()) for kind in get_args(RunMount)),
    ],
)
def test_only_what_cannot_change_the_result_is_left_out_of_keys(kind: type, names: set[str]) -> None:
    assert aside(kind) == names


def test_every_op_is_a_frozen_value_without_behaviour() -> None:
    for kind in get_args(Op):
        assert [name for name in vars(kind) if callable(getattr(kind, name)) and not name.startswith("_")] == []
    assert is_value(Mkdir(path="/a"))
    with pytest.raises(AttributeError):
        Mkdir(path="/a").path = "/b"  # type: ignore[misc]


def test_ops_are_compared_by_what_they_do() -> None:
    copy = Copy(sources=(Pick(path="a", input=1), Inline(name="b", content="c")), destination="/d/")
    assert copy == Copy(sources=(Pick(path="a", input=1), Inline(name="b", content="c")), destination="/d/")
    assert copy != Copy(sources=(Pick(path="a", input=1, unpack=True),), destination="/d/")


def test_the_values_that_builds_have_without_flags_are_those_of_buildkit() -> None:
    run = Run(args=("true",))
    assert (run.cwd, run.network, run.security, run.hostname) == ("/", "default", "sandbox", "buildkitsandbox")
    assert Http(digest="sha256:" + "0" * 64, name="f").mode == 0o600


@pytest.mark.parametrize("kind", get_args(RunMount))
def test_the_plan_reads_the_same_names_of_every_mount(kind: type) -> None:
    mount = kind(target="/t")
    assert (mount.target, mount.source, mount.input, mount.id, mount.env) == ("/t", "", -1, "", "")
    assert mount.read_only is (kind.__name__ == "BindMount")


def test_a_secret_comes_from_no_input() -> None:
    with pytest.raises(TypeError):
        SecretMount(target="/t", input=1)  # type: ignore[call-arg]

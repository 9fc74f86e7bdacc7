"""Which rung of isolation this process is on, and who decides."""

import os

import pytest

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.sandbox import isolation


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation._State, "inside", False)
    monkeypatch.setattr(isolation._State, "refusal", None)
    monkeypatch.setattr(isolation, "may_mount", lambda: True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv(isolation.VARIABLE, raising=False)


def test_the_words_of_buildah_are_taken_and_others_named() -> None:
    assert [isolation.parse(text) for text in ("", "default", "oci", "rootless", "strict")] == [
        "auto",
        "auto",
        "auto",
        "userns",
        "strict",
    ]
    assert isolation.parse("chroot") == "chroot"
    with pytest.raises(isolation.UnknownIsolation, match="unknown isolation 'hyperv'"):
        isolation.parse("hyperv")
    with pytest.raises(SandboxUnavailable, match="unknown isolation 'x'") as caught:
        isolation.wanted({isolation.VARIABLE: "x"})
    assert caught.value.hint == "unset $PYBUILD_ISOLATION"


def test_root_that_can_mount_does_all_itself_unless_it_wants_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isolation.is_direct()
    monkeypatch.setenv(isolation.VARIABLE, "userns")
    assert not isolation.is_direct()
    isolation.note_entered()
    assert isolation.is_direct()


def test_an_ordinary_user_has_it_done_in_a_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    assert not isolation.is_direct()
    isolation.check_namespace()
    for choice, reason in (
        ("root", "is for root, and this is user 4242"),
        ("chroot", "is for root, and this is user 4242"),
        ("none", "unpacks no images"),
    ):
        monkeypatch.setenv(isolation.VARIABLE, choice)
        assert not isolation.is_direct()
        with pytest.raises(SandboxUnavailable, match=reason) as caught:
            isolation.check_namespace()
        assert "--isolation" in caught.value.hint


def test_root_that_cannot_mount_tries_a_namespace_and_a_chroot_when_it_gets_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(isolation, "may_mount", lambda: False)
    assert not isolation.is_direct()
    assert not isolation.is_chroot()
    isolation.check_commands()
    isolation.note_refused(SandboxUnavailable("may make no user namespace (why)"))
    assert isolation.is_direct()
    assert isolation.is_chroot()
    isolation.check_commands()
    monkeypatch.setenv(isolation.VARIABLE, "strict")
    assert not isolation.is_chroot()
    reason = r"root has no CAP_SYS_ADMIN, and may make no user namespace \(why\)"
    with pytest.raises(SandboxUnavailable, match=reason) as caught:
        isolation.check_commands()
    assert "--cap-add SYS_ADMIN" in caught.value.hint


def test_no_commands_run_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(isolation.VARIABLE, "none")
    assert isolation.is_direct()
    with pytest.raises(SandboxUnavailable, match="isolation none runs no commands"):
        isolation.check_commands()

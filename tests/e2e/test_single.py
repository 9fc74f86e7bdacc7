"""Builds by a user who has no ids but its own: layers have the owners that root's have, without being asked for it."""

import os
import select
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import cases, owners
from tests.helpers.contexts import write_context
from tests.helpers.hosts import need_programs
from tests.helpers.lab import Lab
from tests.helpers.ordinary import UID, OrdinaryUser, assert_same_image, ordinary_user, user_in_a_pod
from tests.helpers.supervisors import supervisor_below

# What giving the context to the user takes away; capabilities of processes and owners of pipes, which are not faked.
OTHERWISE = (
    "copy-capabilities",
    "copy-chmod-of-trees",
    "copy-modes-and-times",
    "run-privileges",
    "run-user-opens-its-streams",
)

_PATIENCE = 60


def _cases() -> list[Any]:
    loaded = map(cases.load, cases.names())
    fit = [case.name for case in loaded if not case.fails and not case.bases and case.base != "bookworm"]
    fit = [name for name in fit if name not in OTHERWISE][2::7]
    return [*(pytest.param(name, marks=pytest.mark.drawn) for name in fit), "run-special-files", "user-forms"]


@pytest.fixture(scope="session")
def user(tmp_path_factory: pytest.TempPathFactory) -> OrdinaryUser:
    need_programs(["busybox", "setpriv", "unshare"])
    alone = ordinary_user(tmp_path_factory.mktemp("alone") / "home", subordinate="nobody-here:1:1")
    alone.import_small()
    return alone


@pytest.fixture(scope="session")
def pod(tmp_path_factory: pytest.TempPathFactory) -> OrdinaryUser:
    need_programs(["busybox", "setpriv", "unshare"])
    inside = user_in_a_pod(tmp_path_factory.mktemp("pod") / "home")
    inside.import_small()
    return inside


@pytest.mark.parametrize("name", _cases())
def test_the_image_is_that_of_root(lab: Lab, user: OrdinaryUser, name: str) -> None:
    assert_same_image(lab, user, name)


def _write(user: OrdinaryUser, name: str, dockerfile: str) -> Path:
    context = user.directory / name
    write_context(context, {"Dockerfile": dockerfile, **owners.FILES})
    subprocess.run(["chown", "-RhP", str(UID), context], check=True)
    return context


def test_steps_that_are_all_about_owners_make_the_layers_of_root(lab: Lab, user: OrdinaryUser) -> None:
    _assert_same_layers(lab, user)


def test_layers_are_those_of_root_in_a_pod(lab: Lab, pod: OrdinaryUser) -> None:
    printed = _assert_same_layers(lab, pod)
    assert "note: this host permits no /proc of its own to a step: there are only a few files in it" in printed


def _assert_same_layers(lab: Lab, user: OrdinaryUser) -> str:
    """Build the same as root and as *user*; return what was shown to *user*."""
    lab.case("run-deletes")  # brings the base "small"
    context = _write(user, "owners", owners.DOCKERFILE)
    printed = ""
    for program, seen in ((lab.program, context), (user, user.seen(context))):
        options = ("--no-cache", "--build-arg=SOURCE_DATE_EPOCH=1", f"--secret=id=s,src={seen}/s")
        printed = program.build(seen, *options).printed
    assert owners.layers(user) == owners.layers(lab.program)
    return printed


def test_in_a_pod_a_step_sees_nothing_of_a_process(pod: OrdinaryUser) -> None:
    text = """FROM small
RUN ls -A /proc /proc/self | sort | tr '\\n' ' ' && ! (: > /proc/version) && ! touch /proc/x && ! umount /proc
RUN su alice -s /bin/sh -c 'touch /tmp/mine; echo a | cat > /tmp/other' && test "$(stat -c %u /tmp/mine /tmp/other | sort -u)" = 1000
"""
    printed = pod.build(pod.seen(_write(pod, "sees", text)), "--no-cache").printed
    assert " self stat sys uptime version" in printed
    assert not any(
        word.isdigit() for line in printed.splitlines() if " self stat " in line for word in line.split()[2:]
    )


def test_strict_permits_no_single_id(pod: OrdinaryUser) -> None:
    context = pod.seen(_write(pod, "strict", "FROM small\nRUN true\n"))
    refused = replace(pod, variables=(*pod.variables, ("PYBUILD_ISOLATION", "strict"))).build(context, check=False)
    assert refused.exit_code == 3


def test_who_did_not_ask_for_it_is_told_once(user: OrdinaryUser) -> None:
    context = user.seen(_write(user, "told", "FROM small\nRUN id -u && chown 5 /etc/motd\n"))
    told = "user 4242 has no 65535 subordinate ids in /etc/subuid: steps run with the id of the user alone"
    fresh = replace(user, store=user.seen(user.directory / "fresh"))
    fresh.import_tar(user.seen(user.directory / "small.tar"), "small")
    assert [fresh.build(context, "--no-cache").printed.count(told) for _ in range(2)] == [1, 0]
    asked = replace(fresh, variables=(*user.variables, ("PYBUILD_ISOLATION", "single")))
    shutil.rmtree(user.directory / "fresh")
    asked.import_tar(user.seen(user.directory / "small.tar"), "small")
    assert told not in asked.build(context).printed


def test_ids_that_are_not_given_are_no_reason_to_fail(user: OrdinaryUser) -> None:
    context = user.seen(_write(user, "refused", "FROM small\nRUN chown 5 /etc/motd && stat -c 'owner %u' /etc/motd\n"))
    has_ids = replace(user, variables=(("SUBORDINATE", "tester:500000:65536"),))
    command = has_ids.command("build", "--no-cache", "--progress=plain", os.fspath(context))
    at = command.index("-m") - 1
    # newuidmap is found out to have no effect when the namespace is there already.
    command[at:at] = ["setpriv", "--no-new-privs", "--"]
    done = subprocess.run(
        command, env=has_ids.environment, capture_output=True, text=True, check=False, timeout=_PATIENCE
    )
    assert (done.returncode, "owner 5" in done.stderr) == (0, True), done.stderr


def test_what_a_supervisor_cannot_answer_for_is_refused(user: OrdinaryUser) -> None:
    context = user.seen(_write(user, "insecure", "FROM small\nRUN --security=insecure true\n"))
    built = user.build(context, "--allow=security.insecure", check=False)
    assert (built.exit_code, "isolation single has no other capabilities" in built.printed) == (3, True)


def test_a_step_fails_when_its_supervisor_is_killed(user: OrdinaryUser) -> None:
    text = "FROM small\nRUN touch /a; while stat /a; do true; done; sleep 1000\n"
    context = user.seen(_write(user, "killed", text))
    with user.start("build", "--no-cache", "--progress=plain", os.fspath(context)) as building:
        os.kill(supervisor_below(building.pid), signal.SIGKILL)
        _, printed = building.communicate(timeout=_PATIENCE)
    assert building.returncode != 0
    assert "the process that answers its system calls has ended" in printed


def test_a_supervisor_ends_with_its_builder(user: OrdinaryUser) -> None:
    context = user.seen(_write(user, "left", "FROM small\nRUN touch /a; while stat /a; do true; done\n"))
    with user.start("build", "--no-cache", "--progress=plain", os.fspath(context)) as building:
        pidfd = os.pidfd_open(supervisor_below(building.pid))
        building.kill()
        building.communicate(timeout=_PATIENCE)
    try:
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        assert poller.poll(_PATIENCE * 1000)
    finally:
        os.close(pidfd)


def test_a_signal_ends_no_call_that_waits_for_the_supervisor(user: OrdinaryUser) -> None:
    # The shell sets its handler of SIGCHLD without SA_RESTART. Before such calls were made again, a tenth was wrong.
    loop = "i=0; while [ $i -lt 1000 ]; do /bin/true & test -e /etc/passwd || exit 9; i=$((i+1)); done; wait"
    context = user.seen(_write(user, "signals", f"FROM small\nRUN {loop}\n"))
    built = user.build(context, "--no-cache", check=False)
    assert built.exit_code == 0, built.printed

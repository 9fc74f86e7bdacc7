"""The rungs of isolation: what a step has where a host, or a container, refuses a part of it."""

import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.contexts import write_context
from tests.helpers.hosts import need_programs
from tests.helpers.ordinary import OrdinaryUser, ordinary_user
from tests.helpers.program import Program
from tests.helpers.restricted import COVERED_PROC, WITHOUT_MOUNTS, Restricted, refusing, restricted

SECRETS = """FROM small
RUN --mount=type=secret,id=s cat /run/secrets/s > /copy && grep Cap /proc/self/status && id -u && hostname
RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/t touch /cache/a /t/b && chown alice /copy
USER alice
RUN touch /home/alice/mine
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    write_context(tmp_path / "context", {"Dockerfile": SECRETS, "s": "secret"})
    return tmp_path / "context"


def _options(context: Path) -> tuple[str, ...]:
    return ("--secret", f"id=s,src={context}/s", "--build-arg=SOURCE_DATE_EPOCH=1")


def _layers(program: Program) -> list[str]:
    return list(json.loads(program.run("inspect", "-f", "{{json .RootFS.Layers}}", "built").stdout))


def _same(program: Program, other: Restricted, context: Path) -> str:
    """Build with both; the layers are the same. Return what the second printed."""
    program.build(context, "--no-cache", *_options(context))
    expected = _layers(program)
    printed = other.build(context, "--no-cache", *_options(context)).printed
    assert _layers(program) == expected
    return printed


def test_without_pivot_root_a_step_is_behind_a_chroot_that_it_cannot_leave(program: Program, context: Path) -> None:
    bound = restricted(program, *refusing("pivot_root"))
    printed = _same(program, bound, context)
    assert "note: this host permits no pivot_root: steps run after a chroot, without CAP_SYS_CHROOT" in printed
    assert "CapBnd:\t00000000a80025fb" in printed
    assert "CapEff:\t00000000a80025fb" in printed
    inside = "chroot / true || echo refused; ls -id / /.. | cut -d/ -f1 | uniq | wc -l"
    assert bound.run("run", "--user=0", "built", "sh", "-c", inside).stdout.split() == ["refused", "1"]
    refused = bound.with_isolation("strict").build(context, "--no-cache", *_options(context), check=False)
    assert refused.exit_code == 3
    assert "isolation strict permits nothing in its place" in refused.printed


def test_with_all_capabilities_nothing_stands_in_for_pivot_root(program: Program, tmp_path: Path) -> None:
    context = tmp_path / "insecure"
    write_context(context, {"Dockerfile": "FROM small\nRUN --security=insecure true\n"})
    bound = restricted(program, *refusing("pivot_root"))
    built = bound.build(context, "--allow=security.insecure", check=False)
    assert built.exit_code != 0
    assert "enter the root" in built.printed


def test_root_that_may_not_mount_has_a_user_namespace_with_its_own_ids(program: Program, context: Path) -> None:
    need_programs(["setpriv"])
    bound = restricted(program, *WITHOUT_MOUNTS)
    printed = _same(program, bound, context)
    assert "CapBnd:\t00000000a80425fb" in printed
    assert bound.run("run", "built", "cat", "/proc/self/uid_map").stdout.split()[:3] == ["0", "0", "1"]
    # What one of them unpacked is not for the other: the attributes of their overlays differ.
    places = sorted(
        path.name.partition("-")[0] for path in program.store.iterdir() if path.name.startswith("snapshots")
    )
    assert places == ["snapshots", "snapshots"]
    refused = bound.with_isolation("root").run("run", "built", "true", check=False)
    assert refused.returncode == 125
    assert "root may not make namespaces and mounts here" in refused.stderr


def test_a_hidden_name_stays_hidden_whoever_mounts_the_store(program: Program, tmp_path: Path) -> None:
    context = tmp_path / "hides"
    text = "FROM small\nRUN mkdir /d && touch /d/a\nRUN rm -r /d && mkdir /d\n"
    write_context(context, {"Dockerfile": text})
    program.build(context)
    bound = restricted(program, *WITHOUT_MOUNTS)
    for each in (program, bound, program):
        assert each.run("run", "built", "ls", "/d").stdout == ""


def test_with_a_covered_proc_a_step_has_that_of_outside_with_all_covers(program: Program, context: Path) -> None:
    need_programs(["setpriv", "unshare"])
    bound = restricted(program, *COVERED_PROC, *WITHOUT_MOUNTS)
    printed = _same(program, bound, context)
    assert "note: this host permits no /proc of its own to a step" in printed
    script = (
        "cat /proc/keys /proc/timer_list; echo x > /proc/sys/kernel/hostname || echo; cat /proc/1/environ || echo no"
    )
    shown = bound.run("run", "built", "sh", "-c", f"({script}) 2> /dev/null")
    assert shown.stdout.split() == ["no"]
    refused = bound.with_isolation("strict").build(context, "--no-cache", *_options(context), check=False)
    assert refused.exit_code == 3
    assert "isolation strict permits nothing in its place" in refused.printed


def test_where_nothing_is_permitted_files_are_copied_and_commands_refused(program: Program, tmp_path: Path) -> None:
    context = tmp_path / "copies"
    write_context(
        context,
        {"Dockerfile": "FROM small AS a\nCOPY --chown=alice a /a\nFROM scratch\nCOPY --from=a /a /b\n", "a": "a"},
    )
    bound = restricted(program, *refusing("unshare"), *WITHOUT_MOUNTS)
    bound.build(context)
    write_context(tmp_path / "runs", {"Dockerfile": "FROM small\nRUN true\n"})
    refused = bound.build(tmp_path / "runs", check=False)
    assert refused.exit_code == 3
    assert "no command can run here: root has no CAP_SYS_ADMIN, and may make no user namespace" in refused.printed
    assert "docker run --security-opt seccomp=unconfined, or --cap-add SYS_ADMIN" in refused.printed


def test_a_host_name_that_cannot_be_set_is_no_reason_to_fail(program: Program, context: Path) -> None:
    bound = restricted(program, *refusing("sethostname"))
    printed = _same(program, bound, context)
    assert os.uname().nodename in printed
    assert "note:" not in printed


def test_commands_are_refused_where_none_are_wanted(program: Program, tmp_path: Path) -> None:
    write_context(tmp_path / "runs", {"Dockerfile": "FROM small\nRUN true\n"})
    refused = program.build(tmp_path / "runs", "--isolation=none", check=False)
    assert "isolation none runs no commands" in refused.printed
    assert program.run("run", "--isolation=chroot", "small", "true", check=False).returncode == 125


def test_root_keeps_out_of_the_store_of_a_user(program: Program) -> None:
    for path in (program.store, *program.store.iterdir()):
        os.chown(path, 4242, 4242)
    refused = program.run("images", check=False)
    assert refused.returncode == 3
    assert f"the store {program.store} is that of user 4242, and this is root" in refused.stderr


def _doctor(program: Program) -> dict[str, object]:
    found = json.loads(program.run("doctor", "--format=json", check=False).stdout)
    assert isinstance(found, dict)
    return found


def test_the_doctor_names_the_rung_that_a_build_has(program: Program) -> None:
    need_programs(["setpriv", "unshare"])
    cases = {
        "root": restricted(program),
        "userns": restricted(program, *COVERED_PROC, *WITHOUT_MOUNTS),
        "none": restricted(program, *refusing("unshare"), *WITHOUT_MOUNTS),
    }
    for rung, bound in cases.items():
        assert _doctor(bound)["isolation"] == {"wanted": "auto", "used": rung}
        assert (bound.run("run", "small", "true", check=False).returncode == 0) is (rung != "none")


_OWN_PROGRAMS = """d=$(mktemp -d) && mount -t tmpfs none $d && mkdir $d/upper $d/work && \\
mount -t overlay -o lowerdir=/usr/bin,upperdir=$d/upper,workdir=$d/work none /usr/bin && """
_WITHOUT_BIT = "chmod u-s /usr/bin/newuidmap /usr/bin/newgidmap"
_REMOVED = "rm /usr/bin/newuidmap /usr/bin/newgidmap"


def _doctor_after(user: OrdinaryUser, script: str) -> dict[str, object]:
    """What doctor tells *user* where *script* has changed the programs of the host."""
    words = user.command("doctor", "--format=json")
    ahead = ["unshare", "--mount", "sh", "-c", f'{_OWN_PROGRAMS}{script} && exec "$@"', "sh"]
    done = subprocess.run([*ahead, *words], env=user.environment, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def _needs(found: dict[str, object], name: str) -> str:
    return next(str(rung["needs"]) for rung in found["rungs"] if rung["name"] == name)  # type: ignore[attr-defined]


def test_the_advice_of_the_doctor_leads_to_the_rung_that_it_names(tmp_path: Path) -> None:
    need_programs(["newuidmap", "setpriv", "unshare"])
    user = ordinary_user(tmp_path / "home", subordinate="")
    before = _doctor(user)
    assert before["isolation"] == {"wanted": "auto", "used": "single"}
    advice = re.search(r"sudo usermod --add-subuids (\d+)-(\d+) ", _needs(before, "userns"))
    assert advice is not None
    first, last = map(int, advice.groups())
    followed = replace(user, variables=(("SUBORDINATE", f"tester:{first}:{last - first + 1}"),))
    assert _doctor(followed)["isolation"] == {"wanted": "auto", "used": "userns"}


def test_a_program_without_its_bit_gets_it_by_the_command_of_the_doctor(tmp_path: Path) -> None:
    need_programs(["newuidmap", "setpriv", "unshare"])
    user = ordinary_user(tmp_path / "home")
    before = _doctor_after(user, _WITHOUT_BIT)
    assert before["isolation"] == {"wanted": "auto", "used": "single"}
    command = _needs(before, "userns").removeprefix("sudo ")
    assert _doctor_after(user, f"{_WITHOUT_BIT} && {command}")["isolation"] == {"wanted": "auto", "used": "userns"}


def test_a_missing_program_is_to_be_installed(tmp_path: Path) -> None:
    need_programs(["apt-get", "newuidmap", "setpriv", "unshare"])
    found = _doctor_after(ordinary_user(tmp_path / "home"), _REMOVED)
    assert found["isolation"] == {"wanted": "auto", "used": "single"}
    assert _needs(found, "userns") == "sudo apt-get install uidmap"


def test_with_a_covered_proc_a_user_has_a_few_files_of_it(tmp_path: Path) -> None:
    need_programs(["setpriv", "unshare"])
    user = ordinary_user(tmp_path / "home", subordinate="")
    words = [*COVERED_PROC, *user.command("doctor", "--format=json")]
    done = subprocess.run(words, env=user.environment, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert (done.returncode, found["isolation"]["used"]) == (0, "single")
    without = [rung["without"] for rung in found["rungs"] if rung["name"] == "single"]
    assert without == [["a new /proc is refused: there are only a few files in it"]]

"""Builds without root: the same images, for a user who has subordinate ids and no privilege."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers import bases, cases, configs, trees
from tests.helpers.contexts import write_context
from tests.helpers.hosts import need_emulator, need_programs
from tests.helpers.lab import Lab
from tests.helpers.ordinary import UID, OrdinaryUser, ordinary_user
from tests.helpers.sshd import PROGRAMS, make_key, with_ssh_add

pytestmark = pytest.mark.xdist_group("cases")

# Device nodes, and ids beyond the 65536 that the user owns.
REFUSED = ("copy-special-files", "run-special-files", "user-forms")
# A device node that is made if possible; capabilities and set-id bits in the context, which giving it to the user takes away.
OTHERWISE = ("run-rewrites-lower-layers", "copy-capabilities", "copy-chmod-of-trees", "copy-modes-and-times")


def _cases() -> list[str]:
    loaded = map(cases.load, cases.names())
    fit = [case.name for case in loaded if not case.fails and not case.bases and case.base != "bookworm"]
    return [name for name in fit if name not in {*REFUSED, *OTHERWISE}][::3]


@pytest.fixture(scope="session")
def user(tmp_path_factory: pytest.TempPathFactory) -> OrdinaryUser:
    need_programs(["busybox", "newuidmap", "setpriv", "unshare"])
    made = ordinary_user(tmp_path_factory.mktemp("ordinary") / "home")
    shutil.copy(bases.small(), made.folder / "small.tar")
    made.import_tar(made.seen(made.folder / "small.tar"), "small")
    return made


@pytest.mark.parametrize("name", _cases())
def test_the_image_is_that_of_root(lab: Lab, user: OrdinaryUser, name: str) -> None:
    expected = lab.case(name)
    folder = user.folder / "cases" / name
    folder.parent.mkdir(exist_ok=True)
    dockerfile = user.seen(expected.case.copy_to(folder))
    subprocess.run(["chown", "-RhP", str(UID), folder], check=True)
    seen = user.seen(folder)
    options = ("-f", os.fspath(dockerfile), *expected.case.options_in(seen))
    built = user.build(seen / "context", *options, tag=name, check=False)
    assert built.exit_code == 0, built.printed
    archive = user.folder / f"{name}.tar"
    user.save(name, user.seen(archive))
    image = trees.read_archive(archive)
    assert expected.image is not None
    assert list(trees.differences(image.tree, expected.image.tree, started=0)) == []
    assert configs.settings(image.config) == configs.settings(expected.image.config)


def test_a_flat_image_has_the_layer_that_it_has_for_root(lab: Lab, user: OrdinaryUser) -> None:
    lab.case("run-deletes")  # brings the base "small"
    for program in (lab.program, user):
        program.run("flatten", "small", "-t", "small:flat")
        assert program.run("diff", "--only", "files", "--times", "small", "small:flat").stdout == ""
    layers = [program.run("inspect", "-f", "{{json .RootFS}}", "small:flat").stdout for program in (lab.program, user)]
    assert layers[0] == layers[1]


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_root_fails_without_harm(user: OrdinaryUser, name: str) -> None:
    folder = user.folder / "refused" / name
    folder.parent.mkdir(exist_ok=True)
    case = cases.load(name)
    dockerfile = user.seen(case.copy_to(folder))
    built = user.build(user.seen(folder) / "context", "-f", os.fspath(dockerfile), tag=f"{name}-refused", check=False)
    assert built.exit_code in {1, 3}
    assert "Traceback" not in built.printed
    assert f"{name}-refused" not in user.run("images").stdout


def test_the_store_is_the_users_own_and_root_inside_owns_what_images_contain(user: OrdinaryUser) -> None:
    status = (user.folder / "store").stat()
    assert (status.st_uid, status.st_mode & 0o777) == (UID, 0o700)
    result = user.run("run", "--rm", "--network=none", "small", "sh", "-c", "id -u; ls /sys/class/net; ls -ld /root")
    lines = result.stdout.splitlines()
    assert lines[:2] == ["0", "lo"]
    assert "root     root" in lines[2]


def test_without_subordinate_ids_the_error_says_what_to_add(tmp_path: Path) -> None:
    stranger = ordinary_user(tmp_path / "home", subordinate="")
    result = stranger.run("images", check=False)
    assert result.returncode == 3
    assert "user 4242 has no 65536 subordinate ids in /etc/subuid" in result.stderr
    assert "usermod --add-subuids" in result.stderr


def test_an_emulator_that_is_installed_needs_no_registration_on_the_host(user: OrdinaryUser) -> None:
    need_emulator()
    shutil.copy(bases.small_arm64(), user.folder / "arm64.tar")
    user.run("import", "--platform=linux/arm64", os.fspath(user.seen(user.folder / "arm64.tar")), "small-arm64")
    context = write_context(
        user.folder / "foreign", {"Dockerfile": "FROM small-arm64\nRUN busybox uname -m > /machine\n"}
    )
    user.build(user.seen(context), "--platform=linux/arm64", tag="foreign")
    assert user.run("run", "--rm", "foreign", "cat", "/machine").stdout == "aarch64\n"


def test_a_key_in_a_file_is_served_to_a_step_and_the_log_is_kept(user: OrdinaryUser) -> None:
    need_programs(PROGRAMS)
    folder = user.folder / "keys"
    context = with_ssh_add(folder)
    key = make_key(folder / "mine")
    subprocess.run(["chown", "-RhP", str(UID), folder], check=True)
    flags = (f"--ssh=default={user.seen(key)}", f"--log-file={user.seen(folder / 'log')}")
    built = user.build(user.seen(context), *flags)
    assert " mine (ED25519)" in built.printed
    assert " mine (ED25519)" in (folder / "log").read_text()


def test_an_image_is_exported_changed_committed_and_copied(user: OrdinaryUser) -> None:
    at = user.seen(user.folder)
    user.run("export", "-o", f"{at}/tree.tar", "small")
    tree = user.folder / "tree"
    subprocess.run(["mkdir", tree], check=True)
    subprocess.run(["tar", "-xf", user.folder / "tree.tar", "-C", tree], check=True)
    (tree / "added").write_text("by hand\n")
    subprocess.run(["chown", "-RhP", f"{UID}:{UID}", tree], check=True)
    user.run("commit", "small", f"{at}/tree", "small:more")
    # In the folder all files are the user's own, also those that were another's in the image.
    found = user.run("diff", "--only", "files", "small", "small:more").stdout
    assert found.split("\n")[:-1] == ["A /added", "C /home", "C /home/alice"]
    digest = user.run("copy", "small:more", f"oci:{at}/layout:it").stdout.split()[-1]
    assert user.run("copy", f"oci:{at}/layout:it", "small:back").stdout.split()[-1] == digest


@pytest.mark.parametrize("network", ["host", "none"])
def test_root_inside_may_walk_through_all_that_it_sees(user: OrdinaryUser, network: str) -> None:
    script = "find / > /dev/null && cat /proc/1/environ /proc/1/maps > /dev/null"
    assert user.run("run", f"--network={network}", "small", "sh", "-c", script).stderr == ""


def test_other_users_inside_open_their_streams_by_name(user: OrdinaryUser) -> None:
    script = "echo $$ > /dev/stdout; echo 2 > /dev/stderr; cat /dev/stdin"
    done = user.run("run", "-i", "-u", "1001", "small", "sh", "-c", script)
    assert (done.stdout, done.stderr) == ("1\n", "2\n")


EMBEDDED = """
import asyncio, os, sys, threading
from pathlib import Path
import pybuild

def refused():
    try:
        pybuild.become_root()
    except pybuild.errors.SandboxUnavailable as error:
        print(error)

async def loop():
    refused()

go = threading.Event()
other = threading.Thread(target=go.wait)
other.start()
refused()
go.set()
other.join()
asyncio.run(loop())
pybuild.become_root()
with pybuild.Store.open() as store:
    print(pybuild.build(pybuild.Request.of(context=Path(sys.argv[1])), store).image_id, store.root, os.geteuid())
"""


def test_a_program_that_embeds_builds_becomes_root_by_one_call_and_keeps_its_store(user: OrdinaryUser) -> None:
    context = user.folder / "embedded"
    write_context(context, {"Dockerfile": "FROM scratch\nCOPY a /a\n", "a": "a"})
    command = user.command()
    words = [*command[: command.index("-m")], "-c", EMBEDDED, os.fspath(user.seen(context))]
    ended = subprocess.run(
        words, env={**os.environ, **dict(user.variables)}, capture_output=True, text=True, check=True
    )
    threads, loop, built = ended.stdout.splitlines()
    assert threads == "a process of several threads cannot enter a user namespace"
    assert loop == "a process with a running event loop cannot enter a user namespace"
    assert built.startswith("sha256:")
    assert built.endswith("/mnt/home/.local/share/pybuild 0")

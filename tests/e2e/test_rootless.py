"""Builds without root: the same images, for a user who has subordinate ids and no privilege."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers import bases, cases
from tests.helpers.contexts import write_context
from tests.helpers.hosts import need_emulator, need_programs
from tests.helpers.lab import Lab
from tests.helpers.ordinary import HOME, UID, OrdinaryUser, assert_same_image, ordinary_user
from tests.helpers.sshd import PROGRAMS, make_key, with_ssh_add

_SOURCES = Path(__file__).parents[2] / ".src"
# Device nodes, and ids beyond the 65536 that the user owns.
REFUSED = ("copy-special-files", "run-special-files", "user-forms")
# Device nodes, which are those of the host; capabilities and set-id bits in the context, which giving it to the user takes
# away; a mode that keeps its owner out.
OTHERWISE = (
    *("run-rewrites-lower-layers", "run-user-opens-its-streams"),
    *("copy-capabilities", "copy-chmod-of-trees", "copy-modes-and-times", "copy-chmod-copied-bits"),
)


def _cases() -> list[str]:
    loaded = map(cases.load, cases.names())
    fit = [case.name for case in loaded if not case.fails and not case.bases and case.base != "bookworm"]
    return [name for name in fit if name not in {*REFUSED, *OTHERWISE}][::3]


@pytest.fixture(scope="session")
def user(tmp_path_factory: pytest.TempPathFactory) -> OrdinaryUser:
    need_programs(["busybox", "newuidmap", "setpriv", "unshare"])
    made = ordinary_user(tmp_path_factory.mktemp("ordinary") / "home")
    made.import_small()
    return made


@pytest.mark.drawn
@pytest.mark.parametrize("name", _cases())
def test_the_image_is_that_of_root(lab: Lab, user: OrdinaryUser, name: str) -> None:
    assert_same_image(lab, user, name)


def test_a_flat_image_has_the_layer_that_it_has_for_root(lab: Lab, user: OrdinaryUser) -> None:
    lab.case("run-deletes")  # brings the base "small"
    for program in (lab.program, user):
        program.run("flatten", "small", "-t", "small:flat")
        assert program.run("diff", "--only", "files", "--times", "small", "small:flat").stdout == ""
    layers = [program.run("inspect", "-f", "{{json .RootFS}}", "small:flat").stdout for program in (lab.program, user)]
    assert layers[0] == layers[1]


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_root_fails_without_harm(user: OrdinaryUser, name: str) -> None:
    directory = user.directory / "refused" / name
    directory.parent.mkdir(exist_ok=True)
    case = cases.load(name)
    dockerfile = user.seen(case.copy_to(directory))
    built = user.build(
        user.seen(directory) / "context", "-f", os.fspath(dockerfile), tag=f"{name}-refused", check=False
    )
    assert built.exit_code in {1, 3}
    assert "Traceback" not in built.printed
    assert f"{name}-refused" not in user.run("images").stdout


def test_the_store_is_the_users_own_and_root_inside_owns_what_images_contain(user: OrdinaryUser) -> None:
    status = (user.directory / "store").stat()
    assert (status.st_uid, status.st_mode & 0o777) == (UID, 0o700)
    result = user.run("run", "--rm", "--network=none", "small", "sh", "-c", "id -u; ls /sys/class/net; ls -ld /root")
    lines = result.stdout.splitlines()
    assert lines[:2] == ["0", "lo"]
    assert "root     root" in lines[2]


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> OrdinaryUser:
    """A user without subordinate ids, who has the image "small"."""
    need_programs(["busybox", "setpriv", "unshare"])
    made = ordinary_user(tmp_path_factory.mktemp("stranger") / "home", subordinate="")
    made.import_small()
    return made


def _context(user: OrdinaryUser, name: str, dockerfile: str) -> Path:
    directory = user.directory / name
    write_context(directory, {"Dockerfile": dockerfile, "a": "a\n"})
    subprocess.run(["chown", "-RhP", str(UID), directory], check=True)
    return user.seen(directory)


def test_without_subordinate_ids_all_that_unpacks_nothing_works(stranger: OrdinaryUser) -> None:
    at = stranger.seen(stranger.directory)
    stranger.run("tag", "small", "small:other")
    stranger.run("save", "-o", f"{at}/saved.tar", "small:other")
    stranger.run("rmi", "small:other")
    stranger.run("load", "-i", f"{at}/saved.tar")
    stranger.run("copy", "small:other", f"oci:{at}/layout:it")
    for words in (
        ["images"],
        ["history", "small"],
        ["inspect", "small"],
        ["df", "-v"],
        ["prune", "-f"],
        ["rmi", "small:other"],
    ):
        stranger.run(*words)
    assert stranger.run("diff", "--only=config", "small", "small").stdout == ""
    context = _context(stranger, "checked", "FROM small\nRUN true\n")
    assert stranger.build(context, "--check").exit_code == 0


COPIES = "FROM small\nCOPY --chown=70000:5 --chmod=600 a /new/a\nWORKDIR /home/x\nENV a=b\nCOPY a a /twice/\n"


def test_a_build_without_commands_needs_no_ids_and_owners_may_be_any(
    lab: Lab, user: OrdinaryUser, stranger: OrdinaryUser
) -> None:
    copies = COPIES.replace("COPY a a /twice/\n", "")
    lab.case("run-deletes")  # brings the base "small"
    context = user.directory / "copies"
    write_context(context, {"Dockerfile": copies, "a": "a\n"})
    layers = []
    for program, place in (
        (lab.program, context),
        (user, _context(user, "copies-of-user", copies)),
        (stranger, _context(stranger, "copies", copies)),
    ):
        os.utime(context / "a", (1, 1))
        if isinstance(program, OrdinaryUser):
            os.utime(program.directory / place.relative_to("/mnt/home") / "a", (1, 1))
        program.build(place, "--build-arg=SOURCE_DATE_EPOCH=1", tag="copies")
        layers.append(program.run("inspect", "-f", "{{json .RootFS}}", "copies").stdout)
    assert layers[0] == layers[1] == layers[2]


@pytest.mark.parametrize("dockerfile", ["FROM small\nRUN true\n", COPIES])
def test_what_needs_ids_says_what_to_add(stranger: OrdinaryUser, dockerfile: str) -> None:
    name = "commands" if "RUN" in dockerfile else "repeats"
    strict = replace(stranger, variables=(*stranger.variables, ("PYBUILD_ISOLATION", "strict")))
    built = strict.build(_context(stranger, name, dockerfile), check=False)
    assert built.exit_code == 3
    assert "user 4242 has no 65535 subordinate ids in /etc/subuid" in built.printed
    assert "usermod --add-subuids" in built.printed
    assert strict.run("run", "small", "true", check=False).returncode == 125


@pytest.mark.parametrize(
    ("dockerfile", "text"),
    [
        (
            "COPY --chown=70000:5 a /new/a\nRUN true\n",
            "/new: user 70000 is beyond the ids of this user, which go up to 65536",
        ),
        ("USER 5:70000\nRUN true\n", "become user 5:70000: it is beyond the ids that the builder has here"),
        (
            "RUN --mount=type=cache,target=/c,uid=70000 true\n",
            "the cache mount at /c: user 70000 is beyond the ids of this user, which go up to 65536",
        ),
    ],
)
def test_an_owner_beyond_the_range_is_refused_by_name(user: OrdinaryUser, dockerfile: str, text: str) -> None:
    name = f"beyond-{len(text)}"
    built = user.build(_context(user, name, f"FROM small\n{dockerfile}"), check=False)
    assert built.exit_code in {1, 3}
    assert text in built.printed


@pytest.mark.parametrize("ids", [True, False])
def test_a_context_comes_on_standard_input_whoever_its_files_belong_to(
    user: OrdinaryUser, stranger: OrdinaryUser, tmp_path: Path, ids: bool
) -> None:
    write_context(tmp_path / "context", {"Dockerfile": "FROM small\nCOPY sub /s\n", "sub/a/f": "x"})
    for path in (tmp_path / "context/sub", tmp_path / "context/sub/a/f"):
        os.chown(path, 7, 8)
    (tmp_path / "context/sub/link").symlink_to("a")
    subprocess.run(["tar", "-C", tmp_path / "context", "-cf", tmp_path / "context.tar", "."], check=True)
    with (tmp_path / "context.tar").open() as stdin:
        (user if ids else stranger).run("build", "-t", "from-stdin", "-", stdin=stdin)


def test_a_secret_in_a_pipe_is_read_once_and_seen_by_the_step(user: OrdinaryUser) -> None:
    context = _context(user, "piped", "FROM small\nRUN --mount=type=secret,id=a wc -c < /run/secrets/a\n")
    command = user.command("build", "--progress=plain", "--no-cache", "--secret=id=a,src=/dev/fd/0", os.fspath(context))
    at = command.index("-m") - 1
    # A pipe of the user's own: that of somebody else cannot be opened by name.
    words = [*command[:at], "sh", "-c", 'echo hidden | "$@"', "sh", *command[at:]]
    done = subprocess.run(words, env=user.environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.search(r"#\d+ [\d.]+ 7\n", done.stderr)


def test_a_limit_that_cannot_be_kept_is_told(user: OrdinaryUser) -> None:
    if _doctor(user)["limits"]:
        pytest.skip("control groups can be made")
    built = user.build(_context(user, "limited", "FROM small\nRUN true\n"), "--memory=64m", "--no-cache")
    assert "WARNING: the limit memory is not kept" in built.printed


def _doctor(user: OrdinaryUser) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(user.run("doctor", "--format=json").stdout)
    return found


def test_a_step_that_writes_a_path_twice_is_done_once_and_where_it_can_be(user: OrdinaryUser) -> None:
    built = user.build(_context(user, "twice", COPIES.replace("70000", "7")), tag="twice")
    assert [step.name.rpartition("] ")[2].partition(" ")[0] for step in built.steps if step.end == "DONE"][-4:-1] == [
        "COPY",
        "WORKDIR",
        "COPY",
    ]
    assert len({step.name for step in built.steps}) == len(built.steps)


def test_a_build_that_is_cached_asks_for_no_namespace(user: OrdinaryUser) -> None:
    context = _context(user, "cached", "FROM small\nRUN echo x > /x\nCOPY --chown=alice a /b\n")
    assert user.build(context).executed == ["[2/3] RUN echo x > /x", "[3/3] COPY --chown=alice a /b"]
    # The next one has no program that could give it ids.
    without = replace(user, variables=(("SUBORDINATE", ""),))
    assert without.build(context).executed == []


def test_an_unknown_user_without_a_home_is_told_how_to_choose_a_store() -> None:
    need_programs(["setpriv"])
    command = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "env", "-i", "PATH=/usr/bin:/bin"]
    words = [sys.executable, "-m", "pybuild", "images"]
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        environment = ["env", f"PYTHONPATH={_SOURCES}"]
        refused = subprocess.run([*command, *environment, *words], capture_output=True, text=True, check=False)
        chosen = [*environment, f"PYBUILD_ROOT={directory}/store"]
        listed = subprocess.run([*command, *chosen, *words], capture_output=True, text=True, check=False)
    assert (refused.returncode, "$PYBUILD_ROOT or --root" in refused.stderr) == (3, True)
    assert (listed.returncode, listed.stderr) == (0, "")


def test_an_emulator_that_is_installed_needs_no_registration_on_the_host(user: OrdinaryUser) -> None:
    need_emulator()
    shutil.copy(bases.small_arm64(), user.directory / "arm64.tar")
    user.run("import", "--platform=linux/arm64", os.fspath(user.seen(user.directory / "arm64.tar")), "small-arm64")
    context = write_context(
        user.directory / "foreign", {"Dockerfile": "FROM small-arm64\nRUN busybox uname -m > /machine\n"}
    )
    user.build(user.seen(context), "--platform=linux/arm64", tag="foreign")
    assert user.run("run", "--rm", "foreign", "cat", "/machine").stdout == "aarch64\n"


def test_a_key_in_a_file_is_served_to_a_step_and_the_log_is_kept(user: OrdinaryUser) -> None:
    need_programs(PROGRAMS)
    directory = user.directory / "keys"
    context = with_ssh_add(directory)
    key = make_key(directory / "mine")
    subprocess.run(["chown", "-RhP", str(UID), directory], check=True)
    flags = (f"--ssh=default={user.seen(key)}", f"--log-file={user.seen(directory / 'log')}")
    built = user.build(user.seen(context), *flags)
    assert " mine (ED25519)" in built.printed
    assert " mine (ED25519)" in (directory / "log").read_text()


def test_an_image_is_exported_changed_committed_and_copied(user: OrdinaryUser) -> None:
    at = user.seen(user.directory)
    user.run("export", "-o", f"{at}/tree.tar", "small")
    tree = user.directory / "tree"
    subprocess.run(["mkdir", tree], check=True)
    subprocess.run(["tar", "-xf", user.directory / "tree.tar", "-C", tree], check=True)
    (tree / "added").write_text("by hand\n")
    subprocess.run(["chown", "-RhP", f"{UID}:{UID}", tree], check=True)
    user.run("commit", "small", f"{at}/tree", "small:more")
    # In the directory all files are the user's own, also those that were another's in the image.
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

started = []

def one(store, name):
    request = pybuild.Request.of(context=Path(sys.argv[1]), build_args=(("name", name),), no_cache=True)
    def progress(event):
        if isinstance(event, pybuild.events.StepOutput) and b"go" in event.data:
            started.append(name)
    outcome = pybuild.build(request, store, progress)
    printed = []
    code = pybuild.run(str(outcome.image_id), ["cat", "/made"], store, lambda _stream, data: printed.append(data))
    return code, b"".join(printed).decode().strip()

async def main():
    with pybuild.Store.open() as store:
        both = await asyncio.gather(*(asyncio.to_thread(one, store, name) for name in ("first", "second")))
        print(*both, sorted(started), store.root)
        print(pybuild.prune(store, everything=True).records > 0)

go = threading.Event()
other = threading.Thread(target=go.wait, daemon=True)  # when the rest fails, the program ends
other.start()
before = os.readlink("/proc/self/ns/user"), os.readlink("/proc/self/ns/mnt"), os.geteuid()
asyncio.run(main())
print(before == (os.readlink("/proc/self/ns/user"), os.readlink("/proc/self/ns/mnt"), os.geteuid()))
go.set()
"""


def test_a_program_with_threads_and_an_event_loop_builds_twice_at_once_and_stays_where_it_is(
    user: OrdinaryUser,
) -> None:
    context = _context(user, "embedded", "FROM small\nARG name\nRUN echo go; sleep 1; echo $name > /made\n")
    at_default = replace(user, store=HOME / ".local/share/pybuild")
    at_default.import_tar(user.seen(user.directory / "small.tar"), "small")
    command = user.command()
    words = [*command[: command.index("-m")], "-c", EMBEDDED, os.fspath(context)]
    environment = {name: value for name, value in os.environ.items() if name != "PYBUILD_ROOT"}
    ended = subprocess.run(
        words, env={**environment, **dict(user.variables)}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    both, pruned, stayed = ended.stdout.splitlines()
    assert both == "(0, 'first') (0, 'second') ['first', 'second'] /mnt/home/.local/share/pybuild"
    assert (pruned, stayed) == ("True", "True")


def test_a_command_has_the_input_and_the_signals_of_pybuild(user: OrdinaryUser) -> None:
    (user.directory / "input").write_text("given\n", encoding="ascii")
    with (user.directory / "input").open() as file:
        assert user.run("run", "-i", "small", "cat", stdin=file).stdout == "given\n"
    script = "trap 'echo term' TERM; trap 'echo int' INT; echo up; while :; do sleep 0.05; done"
    with subprocess.Popen(
        user.command("run", "--stop-timeout", "1000", "small", "sh", "-c", script),
        env=user.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "up\n"
        command.send_signal(signal.SIGTERM)
        assert command.stdout.readline() == "term\n"
        command.send_signal(signal.SIGINT)
        assert command.stdout.readline() == "int\n"
        # The third request to end kills.
        command.send_signal(signal.SIGINT)
        assert command.wait(60) == 137

import subprocess
import sys
from pathlib import Path

import pytest

from pybuild.builder.cli.commands.image.run import command
from pybuild.builder.cli.commands.image.run_image import _WITHOUT_CONTAINER
from pybuild.builder.cli.flags.container.create import ContainerFlags
from pybuild.runtime.values import fields
from tests.builder.cli.conftest import Shop
from tests.helpers.hosts import need_root, need_small_base


@pytest.mark.parametrize(
    ("words", "image", "own"),
    [
        (["box", "x", "--init=true", "--rm=false", "-t=1"], "box", ("x", "--init=true", "--rm=false", "-t=1")),
        (["--init=true", "-i=0", "box", "--init=false"], "box", ("--init=false",)),
        (["-e", "A", "--env", "--rm=true", "-w", "/", "box", "--rm=true"], "box", ("--rm=true",)),
        (["-ie", "A", "box", "--rm=true"], "box", ("--rm=true",)),
        (["-ieA", "-e=B", "--env=C", "box", "--rm=true"], "box", ("--rm=true",)),
        (["--", "box", "--", "--rm=true"], "box", ("--", "--rm=true")),
        (["box", "--", "-D", "--root=x", "--help", ""], "box", ("--", "-D", "--root=x", "--help", "")),
    ],
)
def test_what_follows_the_image_belongs_to_the_command(words: list[str], image: str, own: tuple[str, ...]) -> None:
    params = command.make_context("run", list(words)).params
    assert (params["image"], params["words"], params["rm"]) == (image, own, False)


def test_a_value_that_looks_like_a_flag_is_a_value() -> None:
    params = command.make_context("run", ["-e", "--init=true", "-ih", "--tty=true", "--init=1", "box"]).params
    assert (params["variables"], params["hostname"], params["tty"]) == (("--init=true",), "--tty=true", False)
    assert params["init"] is True


def test_what_fails_before_the_command_has_dockers_exit_code(shop: Shop) -> None:
    result = shop.run("run", "--pull", "never", "nope", "true")
    assert (result.code, result.err.splitlines()[0]) == (125, "ERROR: No such image: nope:latest")


@pytest.fixture
def box(shop: Shop) -> Shop:
    need_root()
    assert shop.run("import", str(need_small_base()), "box", "-c", "ENV PATH=/bin A=image").code == 0
    return shop


def run(shop: Shop, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pybuild", "--root", str(shop.store.root), "run", *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=120)


def test_output_and_exit_code_are_those_of_the_command(box: Shop) -> None:
    done = run(box, "box", "sh", "-c", "echo $A; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "image\n", "err\n")
    assert run(box, "box", "sh", "-c", "sh -c 'kill -9 $$'; exit $?").returncode == 137


def test_arguments_reach_the_command_as_they_are(box: Shop) -> None:
    done = run(box, "box", "sh", "-c", 'for word; do echo "[$word]"; done', "sh", "--init=true", "", "-D", "--", "a b")
    assert done.stdout == "[--init=true]\n[]\n[-D]\n[--]\n[a b]\n"


def test_the_command_is_the_first_process_or_a_child_of_an_init(box: Shop) -> None:
    script = "echo $$ $PPID; cat /etc/hostname; echo $HOSTNAME"
    assert run(box, "-h", "name", "box", "sh", "-c", script).stdout == "1 0\nname\nname\n"
    assert run(box, "--init", "box", "sh", "-c", script).stdout == "2 1\npybuild\npybuild\n"


def test_a_user_writes_to_its_streams_by_name(box: Shop) -> None:
    done = run(box, "-u", "1001", "box", "sh", "-c", "echo 1 > /dev/stdout; echo 2 > /dev/stderr")
    assert (done.stdout, done.stderr) == ("1\n", "2\n")


def test_a_user_that_is_misspelt_has_a_hint(box: Shop) -> None:
    assert run(box, "-u", "rot", "box", "true").stderr.endswith('hint: did you mean "root"?\n')


@pytest.mark.parametrize(("word", "code"), [("nosuch", 127), ("/etc/passwd", 126)])
def test_a_command_that_cannot_start_has_dockers_exit_code(box: Shop, word: str, code: int) -> None:
    assert run(box, "box", word).returncode == code


def test_an_option_after_the_image_is_the_command_and_that_is_said(box: Shop) -> None:
    hint = "hint: options of pybuild run come before the name of the image\n"
    done = run(box, "box", "-it", "sh")
    assert (done.returncode, done.stderr.endswith(hint)) == (127, True)
    assert hint not in run(box, "box", "nosuch", "-it").stderr


def test_standard_input_is_handed_over_only_when_asked_for(box: Shop) -> None:
    assert run(box, "-i", "box", "cat", stdin="data").stdout == "data"
    assert run(box, "box", "cat", stdin="data").stdout == ""


def test_a_terminal_is_made_when_asked_for_and_typing_into_it_needs_one(box: Shop) -> None:
    script = "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo terminal"
    assert run(box, "-t", "box", "sh", "-c", script).stdout == "terminal\n"
    done = run(box, "-i", "-t", "box", "sh")
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "ERROR: the input device is not a TTY")


def test_volumes_are_shown_and_what_is_written_elsewhere_is_gone(box: Shop, tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    flags = ("-v", f"{tmp_path}/v:/v", "-v", f"{tmp_path}/v:/r:ro")
    done = run(box, *flags, "box", "sh", "-c", "echo hi > /v/f; cat /r/f; touch /new; touch /r/x")
    assert (done.returncode, done.stdout) == (1, "hi\n")
    assert (tmp_path / "v" / "f").read_text() == "hi\n"
    assert run(box, "box", "ls", "/new").returncode == 1
    assert len(box.store.snapshots.names()) == 1


def _names(kind: type) -> set[str]:
    parts = [each.metadata["part"] for each in fields(kind) if "part" in each.metadata]
    return {each.name for each in fields(kind) if "part" not in each.metadata}.union(*map(_names, parts))


def test_what_needs_no_container_are_flags_of_containers() -> None:
    assert _names(ContainerFlags) > _WITHOUT_CONTAINER

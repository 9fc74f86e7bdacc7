"""``run`` without click: the same as with it, and little is loaded."""

import subprocess
import sys

import pytest

from pybuild.builder.cli.commands.image import run_image
from tests.builder.cli.commands.container.conftest import pen
from tests.builder.cli.conftest import Shop
from tests.builder.cli.fast_path.both import assert_alike

__all__ = ["pen"]

USUAL = [
    *("run --rm box echo 1", "run box", "run box sh -c 'exit 3'", "run -e A=1 --env HOME box env", "run box nosuch"),
    *("run -u alice -w /tmp -h name --init box sh -c 'id; pwd; hostname'", "run --entrypoint echo box 1 --rm"),
    *("run --pull never box true", "run --pull=missing --network none box true", "run -v /etc:/e:ro box ls /e/passwd"),
    *("run -w relative box true", "run --name c --rm box echo 1", "run --rm --label a=b -m 64m box echo 1"),
    *("run -d --rm --name c box true", "run --restart always --rm box true", "run -v data:/d --rm box ls -d /d"),
    *("run --isolation nosuch box true", "run --pull never nosuch true", "run -a stdout -d box true"),
]
OTHERS = [
    *("run", "run --rm", "run --nosuch box", "run -e", "run --pull=nosuch box true", "run -it", "run '' true"),
    *("run --stop-timeout 3 box true", "run --env-file /dev/null box true", "run --rm=false box true"),
    *("run --platform linux/amd64 box true", "run --sig-proxy=false --rm box true", "run --cpu-count 1 box true"),
    *("run --log-driver syslog box true", "run --name= box true", "run --link-local-ip 1 box true"),
]


def test_every_line_gives_the_same_with_click(pen: Shop) -> None:
    assert_alike(pen, run_image, USUAL, OTHERS)


def test_a_platform_of_the_environment_is_left_to_click(pen: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/nosuch")
    assert_alike(pen, run_image, [], ["run box true"])


HEAVY = {"click", "inspect", "dataclasses", "shutil", "subprocess", "tempfile", "csv", "locale", "requests"}
HEAVY |= {"pybuild.builder.oci.layers.unpack", "pybuild.runtime.emulation.probe", "pybuild.builder.stages.stages"}
IN_CONTAINER = {"pybuild.builder.containers.starting", "pybuild.builder.containers.catalog"}


def loaded(pen: Shop, *words: str) -> set[str]:
    """The modules that a command has loaded when it ends."""
    program = """
import sys
from pybuild.builder.cli.main import run
code = run(sys.argv[1:])
print("\\n".join(sys.modules))
raise SystemExit(code)
"""
    command = [sys.executable, "-c", program, "--root", str(pen.store.root), *words]
    assert pen.run("run", "--rm", "box", "true").code == 0  # so that the layer is unpacked
    return set(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.splitlines())


def test_a_command_without_a_container_loads_what_it_needs(pen: Shop) -> None:
    assert loaded(pen, "run", "--rm", "box", "true") & (HEAVY | IN_CONTAINER) == set()


def test_a_container_is_started_without_click(pen: Shop) -> None:
    found = loaded(pen, "run", "-d", "--rm", "--name", "one", "box", "true")
    # Whether there is netavark is asked of shutil.
    assert (found & HEAVY - {"shutil"}, found & IN_CONTAINER) == (set(), IN_CONTAINER)

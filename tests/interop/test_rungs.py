"""Images that are built without root's ids, or after a chroot alone, run under Docker as root's do."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import bases
from tests.helpers.contexts import write_context
from tests.helpers.default_container import in_default_container
from tests.helpers.hosts import need_programs
from tests.helpers.ordinary import UID, OrdinaryUser, ordinary_user, user_in_a_pod
from tests.helpers.peers import Docker
from tests.helpers.program import Program

TEXT = """FROM small
RUN mkdir -p /d/e && echo content > /d/f && ln -s f /d/l && chown -hR 5:6 /d && chown 7:8 /d/f && chmod 4755 /d/f && chmod 2775 /d/e
RUN mknod -m 666 /d/null c 1 3 && mkfifo /d/p && chown alice:50 /d/p
RUN --mount=type=cache,target=/c --mount=type=secret,id=s echo 1 > /c/n && wc -c < /run/secrets/s > /d/size
COPY --chown=alice s /d/s
USER alice
WORKDIR /home/alice/new
RUN echo mine > mine
CMD stat -c '%n %u:%g %a %F %t,%T' /d /d/* /home/alice/new /home/alice/new/mine && id -un && cat mine /d/size /d/l && echo x > /d/null && test ! -e /c/n && test ! -e /run/secrets/s
"""


def _of_user(make: Callable[[Path], OrdinaryUser], directory: Path) -> tuple[Program, Path, Path]:
    user = make(directory / "home")
    return user, user.directory, user.seen(user.directory)


def _on(rung: str, directory: Path) -> tuple[Program, Path, Path]:
    """The program on a rung, a directory, and what the program calls that."""
    match rung:
        case "single":
            return _of_user(lambda home: ordinary_user(home, subordinate="nobody-here:1:1"), directory)
        case "pod":
            return _of_user(user_in_a_pod, directory)
        case "chroot":
            return in_default_container(Program(store=directory / "store")), directory, directory
    return Program(store=directory / "store"), directory, directory


def _printed_in_docker(docker: Docker, rung: str, directory: Path) -> str:
    """What the image that is built on *rung* prints when Docker runs it."""
    directory.mkdir(exist_ok=True)
    used, place, seen = _on(rung, directory)
    shutil.copy(bases.small(), place / "small.tar")
    write_context(place / "context", {"Dockerfile": TEXT, "s": "0123456789"})
    if isinstance(used, OrdinaryUser):
        subprocess.run(["chown", "-RhP", str(UID), place / "context"], check=True)
    used.import_tar(seen / "small.tar", "small")
    used.build(seen / "context", "--no-cache", f"--secret=id=s,src={seen}/context/s", tag=f"of-{rung}")
    used.save(f"of-{rung}", seen / "saved.tar")
    docker.load(place / "saved.tar")
    return docker.run(f"of-{rung}")


@pytest.fixture(scope="module")
def of_root(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> str:
    return _printed_in_docker(docker, "root", tmp_path_factory.mktemp("root"))


@pytest.mark.parametrize("rung", ["single", "pod", "chroot"])
def test_docker_runs_what_was_built_as_it_runs_what_root_built(
    docker: Docker, of_root: str, tmp_path: Path, rung: str
) -> None:
    need_programs(["setpriv", "unshare"])
    assert "/d/f 7:8 4755 regular file 0,0\n" in of_root
    assert "/d/null 0:0 666 character special file 1,3\n" in of_root
    assert of_root.endswith("alice\nmine\n10\ncontent\n")
    assert _printed_in_docker(docker, rung, tmp_path / rung) == of_root

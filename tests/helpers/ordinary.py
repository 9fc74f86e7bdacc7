"""pybuild as a user of no privilege has it, with subordinate ids and a home that exist for its processes alone."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tests.helpers import bases, configs, trees
from tests.helpers.lab import Lab
from tests.helpers.program import Program

UID = 4242
HOME = Path("/mnt/home")
_SCRIPT = Path(__file__).with_name("ordinary_user.sh")
_REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdinaryUser(Program):
    """The program on the store ``/mnt/home/store`` of a user whose home is *directory* of the host.

    Arguments name files as the user sees them: `seen` tells how.
    """

    store: Path = HOME / "store"
    directory: Path

    def command(self, *arguments: str) -> list[str]:
        """The words that start it."""
        readable = ":".join(map(os.fspath, (_REPOSITORY, sys.prefix, sys.base_prefix)))
        ahead = ["unshare", "--mount", "sh", os.fspath(_SCRIPT), os.fspath(self.directory), readable]
        # The names of super() do not reach a class that slots made anew.
        return [*ahead, "env", f"HOME={HOME}", f"PYTHONPATH={_REPOSITORY / '.src'}", *Program.command(self, *arguments)]

    def is_at_home(self, process: int) -> bool:
        """Whether a process has the home of this user, and not another directory of the same name."""
        with suppress(OSError):
            return os.path.samefile(f"/proc/{process}/root{HOME}", self.directory)
        return False

    def import_small(self) -> None:
        """Import the base "small" from the home."""
        archive = self.directory / "small.tar"
        shutil.copy(bases.small(), archive)
        self.import_tar(self.seen(archive), "small")

    def seen(self, path: Path) -> Path:
        """What the user calls *path*, which is below the home."""
        return HOME / path.relative_to(self.directory)


def ordinary_user(directory: Path, *, subordinate: str = "tester:500000:65536") -> OrdinaryUser:
    """A user with the new home *directory* and the line *subordinate* in /etc/subuid and /etc/subgid."""
    directory.mkdir(parents=True)
    os.chown(directory, UID, UID)
    return OrdinaryUser(directory=directory, variables=(("SUBORDINATE", subordinate),))


def user_in_a_pod(directory: Path) -> OrdinaryUser:
    """A user without subordinate ids, with no capability, no_new_privs, and a /proc that is covered in part."""
    user = ordinary_user(directory, subordinate="nobody-here:1:1")
    return replace(user, variables=(*user.variables, ("POD", "1")))


def assert_same_image(lab: Lab, user: OrdinaryUser, name: str) -> None:
    """Build the case *name* as *user*, and fail unless its files and its config are those of root's build."""
    expected = lab.case(name)
    directory = user.directory / "cases" / name
    directory.parent.mkdir(exist_ok=True)
    dockerfile = user.seen(expected.case.copy_to(directory))
    subprocess.run(["chown", "-RhP", str(UID), directory], check=True)
    seen = user.seen(directory)
    options = ("-f", os.fspath(dockerfile), *expected.case.options_in(seen))
    built = user.build(seen / "context", *options, tag=name, check=False)
    assert built.exit_code == 0, built.printed
    archive = user.directory / f"{name}.tar"
    user.save(name, user.seen(archive))
    image = trees.read_archive(archive)
    assert expected.image is not None
    found = list(trees.differences(image.tree, expected.image.tree, started=0))
    assert not found, found
    assert configs.settings(image.config) == configs.settings(expected.image.config)

"""The command lines of `test_containers` and `test_container_settings` as an ordinary user, beside dockerd, which is root.

What the user cannot have differs: `DIFFERENT` says why.
"""

import shutil
from collections.abc import Iterator

import pytest

from tests.helpers import bases
from tests.helpers.hosts import need_programs
from tests.helpers.ordinary import OrdinaryUser, ordinary_user
from tests.helpers.peers import Docker
from tests.interop import test_container_settings, test_containers
from tests.interop.test_containers import IMAGES, assert_alike, carried_out, theirs

__all__ = ["theirs"]

SCENARIOS = {**test_containers.SCENARIOS, **test_container_settings.SCENARIOS}
_GROUPS = "without root there is no control group to freeze"
_IDS = "a tmpfs of a user namespace shows whose it is"
DIFFERENT = {
    **test_containers.DIFFERENT,
    **test_container_settings.DIFFERENT,
    "exec --privileged c1 grep CapBnd /proc/self/status": "root of a user namespace has each capability over it; the"
    " daemon has those that its own host leaves it",
    "run --rm --network none --mount type=tmpfs,dst=/m box"
    """ sh -c 'stat -c %a /m; grep " /m " /proc/mounts | cut -d" " -f4'""": _IDS,
}
PAUSED = {
    "pause c1": _GROUPS,
    "unpause c1": _GROUPS,
    "ps --format '{{.Names}} {{.State}} {{.Status}}'": _GROUPS,
    "exec c1 true": _GROUPS,
}
_PROCESSES = "without root there is no control group by which the processes in the PID namespace of others end"
SHARED_PROCESSES = dict.fromkeys(
    [
        *(
            line
            for line in SCENARIOS["namespaces of others"].splitlines()
            if line.startswith("run") and ("--pid host" in line or "--pid container:o1" in line)
        ),
        'exec c1 sh -c \'cat /proc/1/cmdline | tr "\\0" " "\'',
        "inspect -f '{{.State.ExitCode}}' c1",
        "start c1",
        "inspect -f '{{.State.Status}} {{.State.ExitCode}}' c1",
    ],
    _PROCESSES,
)
"""Lines of a scenario whose container c1 is not started."""


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrdinaryUser]:
    need_programs(["busybox", "newuidmap", "setpriv", "unshare"])
    made = ordinary_user(tmp_path_factory.mktemp("rootless") / "home")
    archive = made.directory / "small.tar"
    shutil.copy(bases.small(), archive)
    for name, config in IMAGES.items():
        made.run("import", *config, str(made.seen(archive)), name)
    yield made
    made.remove_containers()


@pytest.mark.drawn
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_user_and_docker_do_the_same(user: OrdinaryUser, theirs: Docker, name: str) -> None:
    mine = carried_out(user.command(), SCENARIOS[name], dict(user.environment))
    other = carried_out(list(theirs.client), SCENARIOS[name])
    own = PAUSED if "\npause c1" in SCENARIOS[name] else SHARED_PROCESSES if name == "namespaces of others" else {}
    assert_alike(mine, other, {**DIFFERENT, **own})

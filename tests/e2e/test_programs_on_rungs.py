"""Programs that change owners, users and capabilities make the files of root on the rungs without other ids."""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.helpers import bases, trees
from tests.helpers.hosts import need_programs
from tests.helpers.rungs import Place, place_on
from tests.helpers.thorough import IN_CI, long

pytestmark = [IN_CI, long("programs on rungs")]

TOOLS = """FROM bookworm
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends libcap2-bin sudo
"""
DOCKERFILE = """FROM tools
RUN useradd -m -s /bin/sh worker && adduser --system --group --no-create-home service && usermod -aG mail worker
RUN su worker -c 'id > ~/id && mkdir -m 2770 ~/d && touch ~/d/f' && su - service -s /bin/sh -c 'id > /tmp/service'
RUN mkdir -p /t/a && touch /t/a/f && ln -s f /t/a/l && chown -Rh worker:games /t && chgrp -R mail /t/a && cp -a /t /copied
RUN install -o worker -g mail -m 6750 /bin/true /usr/local/bin/installed && install -d -o service /srv/own
RUN tar -cpf /t.tar t usr/local/bin/installed && mkdir /out && tar -C /out -xpf /t.tar && rm /t.tar
RUN cp /bin/true /bin/plain && setcap cap_net_bind_service=ep /bin/plain && getcap /bin/plain > /capabilities
RUN chown worker /bin/plain && test -z "$(getcap /bin/plain)" && setcap cap_setuid=i /bin/plain
RUN sudo -u worker sh -c 'id > /home/worker/by-sudo; touch /home/worker/mine'
RUN su worker -c 'umask 077; cd; perl -MSocket -e "socket(S, AF_UNIX, SOCK_STREAM, 0) && bind(S, sockaddr_un(q(s))) or die"' \\
    && test -S /home/worker/s && stat -c '%F %U %G %a' /home/worker/s > /socket
RUN find /home /t /out /srv -printf '%p %u %g %m\\n' | sort > /seen && rm -r /var/log
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Place]]:
    """Root and the rungs that are compared with it, on the same image ``tools``, which root has built."""
    need_programs(["setpriv", "unshare", "mmdebstrap"])
    made = {rung: place_on(rung, tmp_path_factory.mktemp(rung) / "home") for rung in ("root", "single", "chroot")}
    root = made["root"]
    root.import_tar(bases.bookworm(), "bookworm")
    root.program.build(root.context("tools", {"Dockerfile": TOOLS}), tag="tools")
    archive = root.program.save("tools", root.directory / "tools.tar")
    for place in (made["single"], made["chroot"]):
        shutil.copy(archive, place.directory)
        place.program.run("load", "-i", os.fspath(place.seen / archive.name))
    yield made
    for place in made.values():
        shutil.rmtree(place.directory)


def _tree(place: Place) -> trees.Tree:
    """Build the image and return its files."""
    built = place.program.build(place.context("context", {"Dockerfile": DOCKERFILE}), tag="programs", check=False)
    assert built.exit_code == 0, built.printed[-5000:]
    place.program.save("programs", place.seen / "saved.tar")
    return trees.read_archive(place.directory / "saved.tar").tree


def test_files_and_owners_are_those_of_root(places: dict[str, Place]) -> None:
    expected = _tree(places["root"])
    for rung in ("single", "chroot"):
        differing = list(trees.differences(_tree(places[rung]), expected, started=0))
        assert not differing, (rung, differing)

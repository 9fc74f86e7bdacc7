"""Large packages of Debian, and what their programs are for, make the files of root on the rungs without other ids."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.helpers import bases, trees
from tests.helpers.hosts import need_programs
from tests.helpers.rungs import Place, place_on
from tests.helpers.thorough import first_in_ci, long

pytestmark = [pytest.mark.xdist_group("packages on rungs"), long("packages on rungs")]

DIFFERS = re.compile(
    r"/var/log/.*|/var/cache/ldconfig/aux-cache|/var/lib/(apt|systemd)/.*|/var/cache/(apt|debconf)/.*|.*\.pyc"
    r"|/etc/(ssh/ssh_host_.*|shadow-?|ssl/(certs|private)/.*snakeoil.*|machine-id)|/home/worker/\.(ssh|npm)/.*"
    r"|/(var/lib/postgresql|srv/db)/.*"
)
"""Files that hold a time, or are drawn by chance: their owners and modes are compared, and their content is not."""
INSTALL = "RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends"
WORKER = "RUN useradd -m -s /bin/sh worker"
PROGRAMS = {
    "openssh-server": f"""
{INSTALL} openssh-server
{WORKER} && mkdir -p /run/sshd && sshd -t
RUN su worker -c "ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id" && stat -c '%U %a %n' /home/worker/.ssh /home/worker/.ssh/* > /seen
""",
    "postgresql": f"""
{INSTALL} postgresql
RUN install -d -o postgres -m 700 /srv/db && su postgres -c 'PATH=$PATH:/usr/lib/postgresql/15/bin && cd / && \\
    initdb -A trust -D /srv/db && pg_ctl -D /srv/db -o "-k /tmp -h \\"\\"" -w start && \\
    psql -h /tmp -c "create table t as select 42" && psql -h /tmp -Atc "select * from t" > /tmp/seen; pg_ctl -D /srv/db -w stop'
RUN test "$(stat -c %U:%a /srv/db /srv/db/base | tr '\\n' ' ')" = "postgres:700 postgres:700 " && grep 42 /tmp/seen
# Links that are named by the hash of a certificate that is drawn by chance.
RUN find /etc/ssl/certs -lname ssl-cert-snakeoil.pem -delete
""",
    "gcc": f"""
{INSTALL} gcc libc6-dev
{WORKER} && echo 'int main(void) {{ return 42; }}' > /main.c && su worker -c 'gcc -o ~/main /main.c; ~/main; echo $? > ~/seen'
RUN grep 42 /home/worker/seen && install -g mail -m 2755 /home/worker/main /usr/local/bin
""",
    "npm": f"""
{INSTALL} npm
{WORKER} && mkdir -p /app/dependency && cd /app/dependency && echo 'module.exports = 42' > index.js && \\
    echo '{{"name": "d", "version": "1.0.0", "scripts": {{"install": "id -u > made"}}}}' > package.json
WORKDIR /app
RUN npm pack ./dependency && rm -r dependency && \\
    echo '{{"name": "app", "version": "1.0.0", "dependencies": {{"d": "file:d-1.0.0.tgz"}}}}' > package.json && \\
    npm install --offline --package-lock-only && chown -R worker:mail . && cp -a . /home/worker/app
RUN npm ci --offline --foreground-scripts && node -e 'process.exit(require("d") != 42)' && cat node_modules/d/made > /seen
RUN cd /home/worker/app && su worker -c 'npm ci --offline' && rm -r /root/.npm /home/worker/.npm/_logs
""",
    "pip": f"""
{INSTALL} python3-venv python3-pip python3-setuptools python3-wheel
ENV PYTHONDONTWRITEBYTECODE=1 PIP_NO_INDEX=1 PIP_NO_BUILD_ISOLATION=0 PIP_NO_COMPILE=1 PIP_NO_CACHE_DIR=1
{WORKER} && mkdir /source && cd /source && echo 'value = 42' > answer.py && \\
    echo 'from setuptools import setup; setup(name="answer", version="1", py_modules=["answer"])' > setup.py
RUN python3 -m venv --system-site-packages /opt/venv && /opt/venv/bin/pip install /source && chown -R worker:mail /opt/venv
RUN cp -r /source /home/worker/source && chown -R worker /home/worker/source && cd / && \\
    su worker -c 'pip install --user --break-system-packages ~/source && cd && python3 -c "import answer; print(answer.value)" > seen'
RUN pip install --break-system-packages /source && rm -r /source/build /home/worker/source/build
""",
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Place]]:
    need_programs(["setpriv", "unshare", "mmdebstrap"])
    made = {rung: place_on(rung, tmp_path_factory.mktemp(rung) / "home") for rung in ("root", "single", "chroot")}
    for place in made.values():
        place.import_tar(bases.bookworm(), "bookworm")
    yield made
    for place in made.values():
        shutil.rmtree(place.directory)


def _tree(place: Place, name: str) -> trees.Tree:
    """Build the image *name* and return its files, without the content of those that differ in each build."""
    context = place.context(name, {"Dockerfile": "FROM bookworm\n" + PROGRAMS[name]})
    built = place.program.build(context, tag=name, check=False)
    assert built.exit_code == 0, (place.rung, built.printed[-5000:])
    place.program.save(name, place.seen / f"{name}.tar")
    tree = trees.read_archive(place.directory / f"{name}.tar").tree
    (place.directory / f"{name}.tar").unlink()
    return {
        path: replace(node, size=0, digest="", text=b"") if DIFFERS.fullmatch(path) else node
        for path, node in tree.items()
    }


@pytest.mark.parametrize("name", first_in_ci(*PROGRAMS))
def test_files_and_owners_are_those_of_root(places: dict[str, Place], name: str) -> None:
    expected = _tree(places["root"], name)
    for rung in ("single", "chroot"):
        found = list(trees.differences(_tree(places[rung], name), expected, started=0))
        assert not found, (rung, found)

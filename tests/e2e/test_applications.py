"""Applications of several containers, built here from Debian: a database that is killed, a web shop that is upgraded."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_services import fetched
from tests.helpers import bases
from tests.helpers.hosts import need_programs
from tests.helpers.networks import need_netavark, own_network, seen, seen_once
from tests.helpers.program import Program
from tests.helpers.thorough import BEFORE_A_RELEASE

pytestmark = BEFORE_A_RELEASE

BIN = "/usr/lib/postgresql/15/bin"
DOCKERFILE = f"""FROM services-base AS database
RUN mkdir /data && chown postgres:postgres /data && chmod 700 /data
COPY --chmod=755 database.sh /usr/local/bin/database
USER postgres
STOPSIGNAL INT
HEALTHCHECK --interval=300ms --start-period=60s --start-interval=300ms CMD {BIN}/pg_isready -h localhost || exit 1
EXPOSE 5432
CMD ["database"]

FROM services-base AS web
ARG version
ENV VERSION=$version
COPY app.py /srv/
VOLUME /uploads
EXPOSE 8000
CMD ["python3", "/srv/app.py"]
"""
DATABASE = f"""#!/bin/sh -e
test -f /data/PG_VERSION || {{
    {BIN}/initdb -D /data -A trust -N >/dev/null
    echo 'host all all all trust' >> /data/pg_hba.conf
}}
exec {BIN}/postgres -D /data -c 'listen_addresses=*' -c unix_socket_directories=/tmp
"""
APP = """
import http.server, os, time
import psycopg2, redis

def connected():
    while True:
        try:
            return psycopg2.connect(host="db", user="postgres", dbname="postgres")
        except psycopg2.OperationalError:
            time.sleep(0.1)

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        hits = redis.Redis("cache").incr("hits")
        with connected() as database, database.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS visits (at timestamp DEFAULT now())")
            cursor.execute("INSERT INTO visits DEFAULT VALUES")
            cursor.execute("SELECT count(*) FROM visits")
            rows = cursor.fetchone()[0]
        with open("/uploads/log", "a") as file:
            file.write(self.path)
        uploads = open("/uploads/log").read()
        body = f"version {os.environ['VERSION']} hits {hits} rows {rows} uploads {uploads}\\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("", 8000), Page).serve_forever()
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Program]:
    need_netavark()
    need_programs(["mmdebstrap"])
    program = Program(store=tmp_path / "store", variables=(("PYBUILD_NETWORK", ""),))
    program.run("import", "-c", "ENV PATH=/usr/bin:/bin:/usr/local/bin", str(bases.services()), "services-base")
    context = tmp_path / "context"
    context.mkdir()
    for name, text in (("Dockerfile", DOCKERFILE), ("database.sh", DATABASE), ("app.py", APP)):
        (context / name).write_text(text, encoding="ascii")
    program.run("build", "--target", "database", "-t", "database", str(context))
    for version in ("1", "2"):
        program.run(
            "build", "--target", "web", "--build-arg", f"version={version}", "-t", f"web:{version}", str(context)
        )
    with own_network():
        before = seen()
        yield program
        program.remove_containers()
        assert seen_once(before) == before


def sql(host: Program, statement: str) -> str:
    """What a statement prints, once the database answers."""
    deadline = time.monotonic() + 90
    while True:
        words = ("exec", "db", f"{BIN}/psql", "-h", "localhost", "-U", "postgres", "-At", "-c", statement)
        done = host.run(*words, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
        assert time.monotonic() < deadline, done.stderr + host.run("logs", "db").stderr
        time.sleep(0.1)


def test_a_database_keeps_its_data_over_a_kill_and_a_new_container(host: Program) -> None:
    run = ("run", "-d", "--name", "db", "--network", "none", "-v", "data:/data", "database")
    host.run(*run)
    sql(host, "CREATE TABLE t (n int)")
    for number in range(3):
        sql(host, f"INSERT INTO t VALUES ({number})")
        host.run("kill", "db")
        host.run("start", "db")
    assert sql(host, "SELECT count(*), sum(n) FROM t") == "3|3"
    host.run("stop", "-t", "60", "db")
    assert host.run("inspect", "-f", "{{.State.ExitCode}}", "db").stdout == "0\n"
    host.run("rm", "db")
    host.run(*run)
    assert sql(host, "SELECT count(*), sum(n) FROM t") == "3|3"
    deadline = time.monotonic() + 60
    while host.run("inspect", "-f", "{{.State.Health.Status}}", "db").stdout != "healthy\n":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_application_is_started_restarted_upgraded_and_removed(host: Program) -> None:
    web = ("run", "-d", "--name", "web", "--network", "shop", "-p", "8080:8000", "-v", "uploads:/uploads")
    host.run("network", "create", "shop")
    host.run("run", "-d", "--name", "db", "--network", "shop", "--restart", "always", "-v", "data:/data", "database")
    cache = ("redis-server", "--protected-mode", "no", "--dir", "/var/lib/redis")
    host.run("run", "-d", "--name", "cache", "--network", "shop", "-v", "cache:/var/lib/redis", "services-base", *cache)
    host.run(*web, "--restart", "on-failure", "web:1")
    assert fetched("/a") == (200, "version 1 hits 1 rows 1 uploads /a\n")
    host.run("restart", "-t", "60", "web", "cache", "db")
    assert fetched("/b") == (200, "version 1 hits 2 rows 2 uploads /a/b\n")
    host.run("stop", "-t", "0", "web")
    host.run("rm", "web")
    host.run(*web, "web:2")
    assert fetched("/c") == (200, "version 2 hits 3 rows 3 uploads /a/b/c\n")
    host.run("rm", "-fv", "web", "cache", "db")
    assert host.run("volume", "ls", "-q").stdout.split() == ["cache", "data", "uploads"]
    host.run("volume", "rm", "cache", "data", "uploads")
    host.run("network", "rm", "shop")
    assert host.run("ps", "-aq").stdout == ""
    assert host.run("volume", "ls", "-q").stdout == ""
    assert [path.name for path in (host.store / "containers").iterdir()] == ["names"]

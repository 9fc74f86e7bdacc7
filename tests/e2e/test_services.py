"""Services of Debian in containers: reached from the host, finding each other, gone without a trace."""

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import bases
from tests.helpers.hosts import need_programs
from tests.helpers.networks import await_commands, need_netavark, own_network, seen, seen_once
from tests.helpers.program import Program

DOCKERFILE = """FROM nginx-base
COPY site.conf /etc/nginx/sites-enabled/default
COPY page.html /srv/
EXPOSE 80
STOPSIGNAL QUIT
CMD ["nginx", "-g", "daemon off;"]
"""
SITE = """
server {
    listen 80;
    location / { root /srv; }
    location /app/ { proxy_pass http://backend:8000/; proxy_connect_timeout 1s; }
}
"""
ALONE = "".join(line for line in SITE.splitlines(keepends=True) if "backend" not in line)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Program]:
    need_netavark()
    need_programs(["mmdebstrap"])
    program = Program(store=tmp_path / "store", variables=(("PYBUILD_NETWORK", ""),))
    program.run("import", str(bases.nginx()), "nginx-base")
    program.run("import", "-c", "ENV PATH=/bin", str(bases.small()), "small")
    with own_network():
        before = seen()
        yield program
        program.remove_containers()
        await_commands(program.store)
        assert seen_once(before) == before


def built(program: Program, context: Path, site: str, name: str) -> None:
    context.mkdir()
    for file, text in (("Dockerfile", DOCKERFILE), ("site.conf", site), ("page.html", "a page\n")):
        (context / file).write_text(text, encoding="ascii")
    program.run("build", "-t", name, str(context))


def fetched(path: str, port: int = 8080) -> tuple[int, str]:
    """The status and the text of an answer, once there is one."""
    deadline = time.monotonic() + 30
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        finally:
            connection.close()


def test_a_web_server_is_reached_at_its_published_ports(host: Program, tmp_path: Path) -> None:
    built(host, tmp_path / "web", ALONE, "web")
    host.run("run", "-d", "--name", "web", "-p", "8080:80", "-P", "--memory", "256m", "web")
    assert fetched("/page.html") == (200, "a page\n")
    assert fetched("/nothing")[0] == 404
    host.run("run", "-d", "--name", "other", "-P", "web")
    port = int(host.run("port", "other", "80").stdout.rpartition(":")[2])
    assert fetched("/page.html", port) == (200, "a page\n")
    host.run("stop", "web")
    state = json.loads(host.run("inspect", "web").stdout)[0]["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 0)
    host.run("start", "web")
    assert fetched("/page.html") == (200, "a page\n")
    assert '"GET /page.html HTTP' in host.run("exec", "web", "cat", "/var/log/nginx/access.log").stdout


def test_two_services_find_each_other_by_name(host: Program, tmp_path: Path) -> None:
    built(host, tmp_path / "web", SITE, "web")
    host.run("network", "create", "inside")
    words = ("small", "httpd", "-f", "-p", "8000", "-h", "/etc")
    host.run("run", "-d", "--name", "app", "--network", "inside", "--network-alias", "backend", *words)
    host.run("run", "-d", "--name", "web", "--network", "inside", "-p", "8080:80", "web")
    assert fetched("/app/motd") == (200, "welcome\n")
    # An upgrade: the old one goes, the new one has its name and address, since nobody else came.
    host.run("rm", "-f", "app")
    assert fetched("/app/motd")[0] in {502, 504}
    host.run("run", "-d", "--name", "app2", "--network", "inside", "--network-alias", "backend", *words)
    host.run("restart", "web")
    assert fetched("/app/motd") == (200, "welcome\n")
    host.run("rm", "-f", "web", "app2")
    host.run("network", "rm", "inside")

"""Builds with the flags that scripts for Buildah have."""

import json
from base64 import b64encode
from pathlib import Path

from tests.helpers.contexts import write_context
from tests.helpers.docker_registry import PASSWORD, USER, docker_registry
from tests.helpers.hosts import need_programs
from tests.helpers.program import Program

DOCKERFILE = """FROM small
ARG A
ARG B
LABEL kept=1 dropped=2
ENV GONE=1
RUN echo $A $B $GIVEN $GONE > /said
COPY . /c
"""


def test_a_script_for_buildah_gets_its_image(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": DOCKERFILE, "a": "a", "b": "b", ".dockerignore": "a"})
    (tmp_path / "arguments").write_text("A=of the file\nB=of the file\n")
    (tmp_path / "ignored").write_text("b\n")
    program.build(
        context,
        *("--build-arg-file", str(tmp_path / "arguments"), "--build-arg", "B=mine"),
        *("--ignorefile", str(tmp_path / "ignored"), "--env", "GIVEN=given"),
        *("--unsetenv", "GONE", "--unsetlabel", "dropped", "--timestamp", "1000000000", "--layers=false"),
        *("--iidfile-raw", str(tmp_path / "id"), "--jobs=1", "--logfile", str(tmp_path / "log")),
    )
    said = program.run("run", "--rm", "built", "sh", "-c", "cat /said; ls -A /c").stdout
    assert said.split("\n") == ["of the file mine given 1", ".dockerignore", "Dockerfile", "a", ""]
    (about,) = json.loads(program.run("inspect", "built").stdout)
    assert about["Created"] == "2001-09-09T01:46:40Z"
    assert about["Config"]["Env"][1:] == ["GIVEN=given"]
    assert about["Config"]["Labels"] == {"kept": "1"}
    assert len(about["RootFS"]["Layers"]) == 2
    assert about["Id"] == f"sha256:{(tmp_path / 'id').read_text()}"
    assert "RUN echo of the file mine given 1 > /said" in (tmp_path / "log").read_text()


def test_another_value_of_env_is_another_build(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": "FROM small\nRUN echo $A\n"})
    program.build(context, "--env", "A=1")
    assert program.build(context, "--env", "A=2").executed == ["[2/2] RUN echo 2"]
    assert program.build(context, "--env", "A=1").cached == ["[2/2] RUN echo 1"]


def test_what_steps_see_of_the_host_is_in_no_layer_and_in_no_key(program: Program, tmp_path: Path) -> None:
    dockerfile = "FROM small\nRUN cat /deep/shown/file /etc/resolv.conf > /said; touch /deep/shown/new || true\n"
    context = write_context(tmp_path / "context", {"Dockerfile": dockerfile})
    shown = write_context(tmp_path / "shown", {"file": "of the host\n"})
    program.build(context, "-v", f"{shown}:/deep/shown:ro", "--dns", "192.0.2.1", "--dns-search", "lan")
    said = program.run("run", "--rm", "built", "sh", "-c", "cat /said; ls -d /deep || echo none").stdout
    assert said == "of the host\nnameserver 192.0.2.1\nsearch lan\nnone\n"
    assert [path.name for path in shown.iterdir()] == ["file"]
    assert program.build(context).executed == []


def test_a_registry_with_a_password_and_a_certificate_of_nobody(program: Program, tmp_path: Path) -> None:
    need_programs(["docker-registry"])
    (tmp_path / "mine").mkdir()
    with docker_registry(tmp_path / "registry", guarded=True, encrypted=True) as registry:
        secret = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (tmp_path / "auth.json").write_text(json.dumps({"auths": {registry.name: {"auth": secret}}}))
        base, result, cache = (f"{registry.name}/team/{name}:1" for name in ("base", "result", "cache"))
        access = ("--authfile", str(tmp_path / "auth.json"), "--tls-verify=false")
        program.run("tag", "small", base)
        program.run("push", *access, base)
        other = Program(store=tmp_path / "other", variables=(("HOME", str(tmp_path / "mine")),))
        context = write_context(tmp_path / "context", {"Dockerfile": f"FROM {base}\nRUN echo 1 > /1\n"})
        assert other.build(context, *access[:2], check=False).exit_code == 4
        other.build(context, *access, "--push", "--cache-to", f"type=registry,ref={cache}", tag=result)
        program.run("pull", *access, result)
        assert program.run("run", "--rm", result, "cat", "/1").stdout == "1\n"

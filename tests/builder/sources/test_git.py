import os
import select
from dataclasses import replace
from pathlib import Path

import pytest

from pybuild.builder.errors import BuildError, Cancelled
from pybuild.builder.request import Secret
from pybuild.builder.request.step_settings import HostInputs
from pybuild.builder.sources.address import GitSource, parse
from pybuild.builder.sources.git import GitProgram, _last_words, check_commit

REQUEST = HostInputs()


def program(url="https://h.invalid/x.git", request=REQUEST, **more):
    return GitProgram(request, url, **more)


def resolve(url, ref=""):
    source = GitSource(url=url, ref=ref)
    return program(url).resolve(source)


def environment(git, url=""):
    return git._environment(None, url)


def settings(environment):
    count = int(environment["GIT_CONFIG_COUNT"])
    return {environment[f"GIT_CONFIG_KEY_{i}"]: environment[f"GIT_CONFIG_VALUE_{i}"] for i in range(count)}


def test_without_a_name_the_server_says_which_commit(repository, served):
    commit = repository.commit({"a": "1"})
    assert resolve(f"{served}/x.git").commit == commit


def test_a_branch_wins_over_a_tag_of_the_same_name(repository, served):
    old = repository.commit({"a": "1"})
    repository.tag("both")
    new = repository.commit({"a": "2"}, branch="both")
    assert resolve(f"{served}/x.git", "both").commit == new
    assert resolve(f"{served}/x.git", "refs/tags/both").commit == old


def test_a_tag_stands_for_the_commit_that_it_leads_to(repository, served):
    commit = repository.commit({"a": "1"})
    tag = repository.tag("v1", annotated=True)
    found = resolve(f"{served}/x.git", "v1")
    assert (found.commit, found.name, found.tag_object) == (commit, "refs/tags/v1", tag)
    assert tag != commit


def test_any_full_name_will_do(repository, served):
    commit = repository.commit({"a": "1"})
    repository.publish("HEAD:refs/pull/7/head")
    assert resolve(f"{served}/x.git", "pull/7/head").commit == commit
    assert resolve(f"{served}/x.git", "refs/pull/7/head").commit == commit


def test_a_name_that_only_ends_alike_is_another_one(repository, served):
    repository.commit({"a": "1"}, branch="feature/main2")
    with pytest.raises(BuildError, match="does not contain a ref main2"):
        resolve(f"{served}/x.git", "main2")


def test_a_repository_that_is_not_there_is_an_error_in_the_servers_words(served):
    with pytest.raises(BuildError, match=r"git ls-remote of git://.*failed: fatal: remote error"):
        resolve(f"{served}/nothing.git")


def test_what_a_server_answers_is_never_taken_for_an_option(tmp_path, repository, served):
    repository.commit({"a": "1"})
    canary = tmp_path / "canary"
    (repository.bare / "HEAD").write_text(f"ref: refs/heads/--upload-pack=touch {canary}\n")
    with pytest.raises(BuildError):
        resolve(f"{served}/x.git")
    assert not canary.exists()


@pytest.mark.parametrize("url", ["ext::sh -c touch% canary", "--upload-pack=touch canary", "file:///tmp", "/tmp"])
def test_other_protocols_never_reach_git(tmp_path, monkeypatch, url):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BuildError, match="unusable address"):
        resolve(url)
    assert not (tmp_path / "canary").exists()


def test_even_git_itself_would_speak_only_the_protocol_of_the_address(repository):
    repository.commit({"a": "1"})
    with pytest.raises(BuildError, match="transport 'file' not allowed"):
        program().run("ls-remote", "--", f"file://{repository.bare}", url="https://h.invalid/x.git")


def test_the_environment_is_made_anew(monkeypatch):
    monkeypatch.setenv("GIT_SSH_COMMAND", "evil")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.pager=evil'")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    found = environment(program(), "https://h.invalid/x.git")
    assert found["HOME"] == "/dev/null"
    assert found["GIT_CONFIG_NOSYSTEM"] == "1"
    assert found["GIT_CONFIG_GLOBAL"] == "/dev/null"
    assert found["GIT_TERMINAL_PROMPT"] == "0"
    assert found["GIT_ALLOW_PROTOCOL"] == "https"
    assert "GIT_CONFIG_PARAMETERS" not in found
    assert "SSH_AUTH_SOCK" not in found
    assert "evil" not in found["GIT_SSH_COMMAND"]
    assert settings(found)["core.hooksPath"] == "/dev/null"
    assert environment(program())["GIT_ALLOW_PROTOCOL"] == "none"
    assert environment(program(), "git@h.invalid:x")["GIT_ALLOW_PROTOCOL"] == "ssh"


def test_an_agent_is_given_to_ssh_when_the_user_forwards_one():
    request = replace(REQUEST, ssh=(("default", Path("/agent")),))
    assert environment(program(request=request), "git@h.invalid:x")["SSH_AUTH_SOCK"] == "/agent"


def test_proxies_are_not_asked_for_this_machine(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.invalid")
    assert environment(program(), "https://h.invalid/x.git")["https_proxy"] == "http://proxy.invalid"
    assert "https_proxy" not in environment(program(), "https://127.0.0.1/x.git")


def test_a_token_goes_to_its_host_and_shows_in_no_command_line(web, repository, monkeypatch):
    commit = repository.commit({"a": "1"})
    web.repositories = repository.bare.parent
    monkeypatch.setenv("TOKEN", "S3CR3T")
    request = replace(REQUEST, secrets=(Secret(id="GIT_AUTH_TOKEN", variable="TOKEN"),))
    url = web.url("/git/x.git")
    assert program(url, request).resolve(GitSource(url=url)).commit == commit
    assert all(asked.headers["Authorization"].startswith("basic ") for asked in web.taken())
    own = settings(environment(program(url, request), url))
    assert own["http.followRedirects"] == "false"
    other = environment(program("https://h.invalid/x.git", request), url)
    assert not any("extraHeader" in value for value in other.values())


def test_a_repository_over_http_needs_no_question_twice(web, repository):
    commit = repository.commit({"a": "1"})
    web.repositories = repository.bare.parent
    source = parse(f"{web.url('/git/x.git')}?branch=main")
    assert isinstance(source, GitSource)
    assert program(source.url).resolve(source).commit == commit
    assert "Authorization" not in web.requests[0].headers


def test_a_missing_program_is_told(monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(BuildError, match="need git, which") as caught:
            resolve("git://127.0.0.1/x.git")
    assert "install git" in caught.value.hint


def test_git_ends_with_the_build(monkeypatch, tmp_path):
    (tmp_path / "git").write_text(f"#!/bin/sh\nsleep 1000 & echo $! >{tmp_path}/child; wait\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    started = tmp_path / "child"
    with pytest.raises(Cancelled):
        program(cancelled=lambda: started.exists() and started.read_text().endswith("\n")).run("fetch")
    child = int(started.read_text())
    assert not _lives(child)


def _lives(pid):
    """Whether a process runs on; one that was killed may take a moment to end."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        return not select.select([handle], [], [], 10)[0]
    finally:
        os.close(handle)


@pytest.mark.parametrize("commit", ["main", "-x", "0" * 39, "0" * 41, "G" * 40])
def test_a_commit_is_a_full_name(commit):
    with pytest.raises(BuildError, match="invalid commit"):
        check_commit(commit)


ADVICE = "\n\nPlease make sure you have the correct access rights\nand the repository exists.\n"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            "ssh: connect to host h port 22: Connection refused\r\nfatal: Could not read from remote repository."
            + ADVICE,
            "ssh: connect to host h port 22: Connection refused",
        ),
        (
            "kex_exchange_identification: read: Connection reset by peer\nConnection reset by 10.0.0.1 port 22\n"
            "fatal: Could not read from remote repository." + ADVICE,
            "Connection reset by 10.0.0.1 port 22",
        ),
        (
            "remote: \nremote: ====\nremote: \nremote: ERROR: no such project\nremote: \nremote: ====\nremote: \n"
            "fatal: Could not read from remote repository." + ADVICE,
            "remote: ERROR: no such project",
        ),
        (
            "remote: Counting objects: 100% (3/3), done.\nerror: RPC failed; curl 18\nfatal: early EOF\nfatal: index-pack failed",
            "error: RPC failed; curl 18",
        ),
        ("fatal: unable to access 'https://h/': Could not resolve host: h\n", None),
        ("remote: gone\nfatal: repository 'https://h/x/' not found\n", "fatal: repository 'https://h/x/' not found"),
        ("Receiving objects:  12% (1/8)\rfatal: early EOF\n", "fatal: early EOF"),
        ("sh: 1: ssh: not found\n", None),
        ("", "it gave no reason"),
    ],
)
def test_the_reason_of_a_failure_is_the_cause_and_not_what_it_led_to(words, reason):
    assert _last_words(words.encode()) == (words.strip() if reason is None else reason)

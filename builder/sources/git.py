"""The git program, run so that a repository can only make it fetch (SECURITY C03).

- The environment is new: no settings of the user or the host, no prompts, no hooks, no file system monitor.
- Addresses are checked by `builder.sources.address`, names and commits by patterns, before git sees them. They follow
  ``--``, so that nothing is taken for an option, not even an answer of a server.
- Only the protocol of the address itself is permitted: no helper programs, no files of this host.
- Credentials travel in the environment, which only this user can read, and go to one host.
"""

import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from pybuild.builder.errors import BuildError, Cancelled
from pybuild.builder.request.step_settings import HostInputs
from pybuild.builder.sources.address import GitSource, check_git_url, git_host, is_commit
from pybuild.builder.sources.credentials import git_authorization
from pybuild.builder.sources.server_answers import ResolvedName
from pybuild.runtime.stopping import check

_OUTPUT_LIMIT = 64 << 20
_STALL = 120
"""Seconds without a byte from the server after which git is ended."""
_TICK = 0.1
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_LINE = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64})\t(\S+)\Z")
_RESULTS = re.compile(
    r"fatal: (could not read from|the remote end hung|early eof|(index|fetch)-pack|expected flush)", re.IGNORECASE
)
"""Messages of git about what a failure of ssh, of the connection or of the server led to."""
_PROGRESS = re.compile(r": +\d+% \(|\(\d+/\d+\)|, done\.$|^remote: (Enumerating|Total) ")
_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.logAllRefUpdates": "false",
    # Names that mean .git on a Mac or on Windows are refused, because the layer may be unpacked there.
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "credential.helper": "",
    "init.defaultBranch": "main",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "http.lowSpeedLimit": "1",
    "http.lowSpeedTime": "30",
    "transfer.bundleURI": "false",
    "safe.directory": "*",
    "advice.detachedHead": "false",
}


class GitProgram:
    """The program, with the secrets and the agent of *inputs*. *own* is the repository that the user named."""

    def __init__(self, inputs: HostInputs, own: str, cancelled: Callable[[], bool] = lambda: False) -> None:
        self._inputs = inputs
        self._own = git_host(own)
        self._cancelled = cancelled

    def resolve(self, source: GitSource) -> ResolvedName:
        """Ask the server what *source* means. Raises BuildError when it has no such name."""
        ref = source.ref
        names = [ref, f"refs/heads/{ref}", f"refs/{ref}", f"refs/tags/{ref}"] if ref else ["HEAD"]
        found = self._listed(source.url, [*names, *(f"{name}^{{}}" for name in names if ref)])
        # Like git with an ambiguous name: a branch wins over a tag.
        for name in (names[1], names[0], *names[2:]) if ref else names:
            if name in found:
                commit = found.get(f"{name}^{{}}", found[name])
                tag = found[name] if commit != found[name] else ""
                return ResolvedName(commit=commit, name=name, tag_object=tag)
        what = f"ref {ref}" if ref else "commit"
        raise BuildError(f"repository {source.url} does not contain a {what}", hint="" if ref else "it may be empty")

    def _listed(self, url: str, names: list[str]) -> Mapping[str, str]:
        """Return the refs of the server that match exactly."""
        output = self.run("ls-remote", "--", check_git_url(url), *names, url=url)
        found = {}
        for line in output.splitlines():
            match = _LINE.match(line)
            if match is not None and (name := os.fsdecode(match[2])) in names:
                found[name] = match[1].decode()
        return found

    def run(self, *arguments: str, directory: Path | None = None, url: str = "") -> bytes:
        """Run git on the repository in *directory*, talking to the server of *url* and no other; return its output.

        Raises:
            BuildError: git is missing, or it failed; the message has its last lines.
        """
        try:
            process = subprocess.Popen(
                ["git", *arguments],
                cwd=directory or "/",
                env=self._environment(directory, url),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # Without a terminal on which ssh could ask, and as a group of processes that `_kill` ends.
                start_new_session=True,
                umask=0o022,
            )
        except FileNotFoundError as error:
            hint = "install git, or use an archive over https"
            raise BuildError("git sources need git, which is not installed", hint=hint) from error
        with process:
            try:
                output, words = _collect(process, self._cancelled, _STALL if url else None)
            except BaseException:
                _kill(process)
                raise
        if process.returncode:
            message = f"git {arguments[0]}{f' of {url}' if url else ''} failed: {_last_words(words)}"
            raise BuildError(message, hint=_hint(words, url))
        return output

    def _environment(self, directory: Path | None, url: str) -> dict[str, str]:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": "/dev/null",
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_SYSTEM": "/dev/null",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_ALLOW_PROTOCOL": _protocol(url),
            "GIT_SSH_COMMAND": "ssh -F /dev/null -o BatchMode=yes -o ClearAllForwardings=yes -a -x",
        }
        if directory is not None:
            environment |= {"GIT_DIR": f"{directory}/.git", "GIT_WORK_TREE": str(directory)}
        agent = dict(self._inputs.ssh).get("default")
        if agent is not None:
            environment["SSH_AUTH_SOCK"] = str(agent)
        if not _is_loopback(url):
            environment |= {name: os.environ[name] for name in _PROXY_VARIABLES if name in os.environ}
        if "SSL_CERT_FILE" in os.environ:
            environment["GIT_SSL_CAINFO"] = os.environ["SSL_CERT_FILE"]
        return environment | _as_variables(_SETTINGS | self._authorization(url))

    def _authorization(self, url: str) -> dict[str, str]:
        """Return the settings that send the secret for the host of *url* only there, not where it redirects to."""
        if not url.lower().startswith(("http://", "https://")):
            return {}
        host = git_host(url)
        header = git_authorization(host, self._inputs, own=host == self._own)
        if header is None:
            return {}
        parts = urlsplit(url)
        place = f"{parts.scheme}://{parts.netloc}/"
        return {f"http.{place}.extraHeader": f"Authorization: {header}", "http.followRedirects": "false"}


def check_commit(commit: str) -> str:
    """Return *commit* when it is a full hash. Raises BuildError."""
    if not is_commit(commit):
        raise BuildError(f"invalid commit {commit[:80]!r}")
    return commit


def _protocol(url: str) -> str:
    if not url:
        return "none"
    return url.partition("://")[0].lower() if "://" in url else "ssh"


def _is_loopback(url: str) -> bool:
    return git_host(url) in {"localhost", "::1"} or git_host(url).startswith("127.")


def _as_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Return settings as variables: other users could see those of ``-c`` in the process list."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def _collect(
    process: "subprocess.Popen[bytes]", cancelled: Callable[[], bool], stall: float | None
) -> tuple[bytes, bytes]:
    """Read both streams of *process* to their ends."""
    streams: list[IO[bytes]] = [stream for stream in (process.stdout, process.stderr) if stream is not None]
    taken: dict[IO[bytes], bytearray] = {stream: bytearray() for stream in streams}
    heard = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(_TICK):
                piece = os.read(key.fd, 1 << 16)
                heard = time.monotonic()
                stream = streams[0] if key.fileobj is streams[0] else streams[1]
                taken[stream] += piece
                if not piece:
                    selector.unregister(stream)
                if stream is streams[1]:
                    # A message needs only the last lines, and a server can send any number of them.
                    del taken[stream][: -(1 << 16)]
            check()
            if cancelled():
                raise Cancelled("cancelled")
            if stall is not None and time.monotonic() - heard > stall:
                raise BuildError(f"git: no data from the server for {stall:.0f} seconds")
            if len(taken[streams[0]]) > _OUTPUT_LIMIT:
                raise BuildError("git: the repository has too many refs")
    process.wait()
    return bytes(taken[streams[0]]), bytes(taken[streams[1]])


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End git with the programs that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _hint(words: bytes, url: str) -> str:
    """Return a hint when ssh failed."""
    if b"Host key verification failed" in words:
        return f"verify the keys that ssh-keyscan {git_host(url)} prints, and add them to ~/.ssh/known_hosts"
    return "use --ssh default to give it a key or an agent" if b"Permission denied (publickey" in words else ""


def _last_words(words: bytes) -> str:
    """Return why git failed, in its own words: the last message, or what came before one that names a result only."""
    text = words.decode("utf-8", "replace").replace("\r", "\n")
    lines = [line for line in map(str.strip, text.splitlines()) if _says_something(line)]
    said = [at for at, line in enumerate(lines) if line.startswith(("fatal:", "error:", "remote:"))]
    if not said:
        return (lines[-1] if lines else "it gave no reason")[:300]
    causes = (line for line in reversed(lines[: said[-1] + 1]) if not _RESULTS.match(line))
    return next(causes, lines[said[-1]])[:300]


def _says_something(line: str) -> bool:
    """Return whether *line* is more than an ornament of a server or a bar of git's."""
    return any(map(str.isalnum, line.removeprefix("remote:"))) and _PROGRESS.search(line) is None

"""Git repositories made by tests, and a server of the git protocol for them."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.serving import on_a_free_port

MOMENT = 1112911993
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.invalid",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.invalid",
    "GIT_AUTHOR_DATE": f"{MOMENT} +0000",
    "GIT_COMMITTER_DATE": f"{MOMENT} +0000",
    "HOME": "/dev/null",
}


def git(directory: Path, *arguments: str) -> str:
    """Run git in *directory* and return its output."""
    command = ["git", "-c", "protocol.file.allow=always", *arguments]
    environment = _ENVIRONMENT | {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, cwd=directory, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Repository:
    """A repository called *name* below *directory*, bare as servers have them, with a tree beside it to work in."""

    def __init__(self, directory: Path, name: str = "x.git") -> None:
        self.bare = directory / name
        self.tree = directory.parent / f"{directory.name}-trees" / name
        self.tree.mkdir(parents=True)
        self.bare.mkdir(parents=True)
        git(self.bare, "init", "-q", "--bare", "-b", "main")
        git(self.tree, "init", "-q", "-b", "main")

    def commit(self, files: Mapping[str, str], branch: str = "main") -> str:
        """Write *files*, commit everything that is in the tree and publish it; return the commit."""
        for name, text in files.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(self.tree, "add", "-A")
        git(self.tree, "commit", "-q", "--allow-empty", "-m", "x")
        self.publish(f"HEAD:refs/heads/{branch}")
        return git(self.tree, "rev-parse", "HEAD")

    def tag(self, name: str, *, annotated: bool = False) -> str:
        """Give the newest commit a tag and publish it; return the object that the tag names."""
        git(self.tree, "tag", *(["-a", "-m", "x"] if annotated else []), name)
        self.publish(f"refs/tags/{name}")
        return git(self.tree, "rev-parse", f"refs/tags/{name}")

    def publish(self, *names: str) -> None:
        """Push *names* to the bare repository."""
        git(self.tree, "push", "-q", "--force", os.fspath(self.bare), *names)

    def link(self, path: str, url: str | None, commit: str) -> str:
        """Commit a submodule without asking anyone, as an attacker would; return the commit. No url, no entry."""
        if url is not None:
            with (self.tree / ".gitmodules").open("a") as file:
                file.write(f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n')
            git(self.tree, "add", ".gitmodules")
        git(self.tree, "update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
        git(self.tree, "commit", "-q", "-m", "submodule")
        self.publish("HEAD:refs/heads/main")
        return git(self.tree, "rev-parse", "HEAD")


@contextmanager
def daemon(directory: Path) -> Iterator[str]:
    """Serve the repositories below *directory* over git://; gives the address that they are below."""
    command = ["git", "daemon", f"--base-path={directory}", "--export-all", "--listen=127.0.0.1"]
    environment = _ENVIRONMENT | {"PATH": os.environ["PATH"]}
    environment |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}

    def start(port: int) -> subprocess.Popen[bytes]:
        words = [*command, f"--port={port}"]
        return subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)

    process, port = on_a_free_port(start)
    try:
        yield f"git://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait()

"""A commit of a repository with its submodules as files in a directory.

Every repository is checked out in a directory of its own, and the files of a submodule are moved into place after git
has finished: git never writes into a tree that another repository has prepared.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from posixpath import dirname
from urllib.parse import urlsplit

from pybuild.builder.errors import BuildError
from pybuild.builder.plan.ops import Git as GitOp
from pybuild.builder.sources.address import check_git_url, git_host
from pybuild.builder.sources.git import GitProgram, check_commit
from pybuild.runtime.errors import UnsafePathError
from pybuild.runtime.paths.safepath import Root
from pybuild.runtime.paths.walk import open_beneath

_DEPTH = 10
_MOST = 1000
_GITLINK = re.compile(rb"160000 commit ([0-9a-f]{40}|[0-9a-f]{64})\t(.+)\Z", re.DOTALL)
_KEY = re.compile(r"submodule\.(?P<name>.+)\.(?P<key>path|url)\Z", re.DOTALL)
_ENCRYPTED = ("https://", "ssh://")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Submodule:
    path: str
    commit: str
    url: str


class Checkout:
    """Checks out one op below *scratch*, a directory that is empty and removed by the caller."""

    def __init__(self, op: GitOp, git: GitProgram, scratch: Path) -> None:
        self._op, self._git, self._scratch = op, git, scratch
        self._count = 0

    def run(self) -> tuple[Path, int]:
        """Return the directory of the checkout and the time of the commit. Raises BuildError."""
        op = self._op
        directory = self._fetch_repository(op.url, op.commit, op.tag or op.ref, tag=op.tag)
        seconds = self._git.run("show", "-s", "--format=%ct", check_commit(op.commit), directory=directory)
        if op.submodules:
            self._submodules(directory, op.url, op.commit, depth=1)
        if not op.keep_git_dir:
            _rename(directory / ".git", self._scratch / "git-0")
        return directory, max(0, int(seconds.split()[-1]))

    def _fetch_repository(self, url: str, commit: str, ref: str, *, tag: str = "") -> Path:
        """Fetch *commit* into a new directory and check it out."""
        directory = self._scratch / f"tree-{self._count}"
        self._count += 1
        form = "sha256" if len(check_commit(commit)) == 64 else "sha1"
        self._git.run("init", "-q", "--template=", f"--object-format={form}", "--", str(directory))
        self._fetch(directory, check_git_url(url), commit, ref)
        if tag:
            self._fetch_one(directory, url, f"+{tag}:{tag}")
        self._git.run("checkout", "-q", "--detach", "--force", commit, directory=directory)
        return directory

    def _fetch(self, directory: Path, url: str, commit: str, ref: str) -> None:
        """Fetch *commit*: by its hash, which not every server allows, else by its ref, else with everything."""
        failure = BuildError(f"{url} does not have the commit {commit}")
        for wanted in filter(None, (commit, ref)):
            try:
                self._fetch_one(directory, url, wanted)
            except BuildError as error:
                failure = error
            if self._has(directory, commit):
                return
        try:
            self._fetch_one(directory, url, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*", depth=0)
        except BuildError:
            raise failure from None
        if not self._has(directory, commit):
            raise failure

    def _fetch_one(self, directory: Path, url: str, *wanted: str, depth: int = 1) -> None:
        options = ["--progress", "--no-tags", "--no-write-fetch-head", *([f"--depth={depth}"] if depth else [])]
        self._git.run("fetch", *options, "--", url, *wanted, directory=directory, url=url)

    def _has(self, directory: Path, commit: str) -> bool:
        try:
            self._git.run("cat-file", "-e", f"{commit}^{{commit}}", directory=directory)
        except BuildError:
            return False
        return True

    def _submodules(self, directory: Path, url: str, commit: str, depth: int) -> None:
        found = self._listed(directory, url, commit)
        if found and depth > _DEPTH:
            raise BuildError(f"{url}: submodules more than {_DEPTH} deep")
        for module in found:
            if self._count > _MOST:
                raise BuildError(f"{self._op.url}: more than {_MOST} submodules")
            inner = self._fetch_repository(module.url, module.commit, "")
            self._submodules(inner, module.url, module.commit, depth + 1)
            _rename(inner / ".git", self._scratch / f"git-{self._count}-{depth}")
            _move_into_place(inner, directory, module.path)

    def _listed(self, directory: Path, url: str, commit: str) -> list[_Submodule]:
        """Return the submodules that the requested directory needs, by path."""
        links = {}
        for line in self._git.run("ls-tree", "-r", "-z", "--full-tree", commit, directory=directory).split(b"\0"):
            match = _GITLINK.match(line)
            if match is not None:
                links[os.fsdecode(match[2])] = match[1].decode()
        if not links:
            return []
        urls = self._urls(directory, commit)
        missing = next((path for path in links if path not in urls), None)
        if missing is not None:
            raise BuildError(f"{url}: no url found for submodule path '{missing}' in .gitmodules")
        return [
            _Submodule(path=path, commit=link, url=_submodule_url(url, urls[path]))
            for path, link in sorted(links.items())
        ]

    def _urls(self, directory: Path, commit: str) -> dict[str, str]:
        """Return the addresses in ``.gitmodules`` by path, unchanged."""
        # From the commit: the file in the tree may be a symlink.
        options = ("--blob", f"{commit}:.gitmodules", "-z", "--get-regexp", r"^submodule\..*\.(path|url)$")
        try:
            output = self._git.run("config", *options, directory=directory)
        except BuildError:
            return {}
        named: dict[str, dict[str, str]] = {}
        for item in os.fsdecode(output).split("\0"):
            key, _, value = item.partition("\n")
            match = _KEY.match(key)
            if match is not None:
                named.setdefault(match["name"], {})[match["key"]] = value
        return {entry["path"]: entry["url"] for entry in named.values() if len(entry) == 2}


def _submodule_url(parent: str, url: str) -> str:
    """Return the address of a submodule; a relative one is relative to that of its repository."""
    if url.startswith(("./", "../")):
        base = parent.rstrip("/")
        while url.startswith(("./", "../")):
            if url.startswith("../"):
                base = base.rpartition("/")[0] if "/" in base.partition("://")[2] or "://" not in base else ""
            url = url.partition("/")[2]
        url = f"{base}/{url}"
        if git_host(url) != git_host(parent):
            raise BuildError(f"{parent}: the address of a submodule leaves the host")
    _check_reachable(parent, check_git_url(url))
    return url


def _check_reachable(parent: str, url: str) -> None:
    """Refuse what a repository must not make this host request: unencrypted protocols, private addresses."""
    if parent.startswith(_ENCRYPTED) and not url.startswith(_ENCRYPTED) and "://" in url:
        raise BuildError(f"{parent} has a submodule at {url}, which is not encrypted")
    if _is_private(url) and not _is_private(parent):
        raise BuildError(f"{parent} has a submodule at {url}, an address of a private network")


def _is_private(url: str) -> bool:
    from pybuild.builder.oci.registry.wire.origin import origin_of

    host = git_host(url)
    port = urlsplit(url).port if "://" in url else None
    return origin_of(f"https://[{host}]" if ":" in host else f"https://{host}:{port or 443}").is_private


def _move_into_place(inner: Path, directory: Path, path: str) -> None:
    """Move the checkout of a submodule into the empty directory that git made at *path*; no symlink is followed."""
    with Root.open_host(directory) as root:
        try:
            parent = open_beneath(root.fd, dirname(path))
        except (OSError, UnsafePathError) as error:
            raise BuildError(f"submodule path '{path}' is not a directory of the repository") from error
        try:
            os.rename(inner, path.rpartition("/")[2], dst_dir_fd=parent)
        except OSError as error:
            raise BuildError(f"submodule path '{path}' is not an empty directory") from error
        finally:
            os.close(parent)


def _rename(old: Path, new: Path) -> None:
    os.rename(old, new)

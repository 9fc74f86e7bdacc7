"""Addresses of remote sources: parsed into values. Pure; nothing is looked up.

    http://host/file https://host/file               a file, or an archive
    https://host/x.git#ref:subdir                    a git repository; the path ends with .git
    git://host/x.git ssh://git@host/x.git git@host:x.git
    https://host/x.git?branch=main&subdir=d          the same as a query; both forms may be mixed

Addresses are also checked here: nothing that git or ssh could take for an option is accepted (SECURITY C03).
"""

import re
from posixpath import basename
from urllib.parse import parse_qsl, unquote, urlsplit

from pybuild.builder.errors import ResolveError
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import InvalidDigest, RegistryError
from pybuild.grammar.parse_go import parse_bool
from pybuild.grammar.suggest import did_you_mean
from pybuild.runtime.values import field, frozen, replace

UNNAMED = "__unnamed__"
"""The name of a file whose URL has none."""

_WEB = re.compile(r"https?://", re.IGNORECASE)
_OTHER = re.compile(r"(?:git|ssh)://(?:(?P<user>\w[\w.-]*)@)?(?P<host>\w[\w.-]*)(?::\d{1,5})?/[^\s\\]+", re.ASCII)
# A host that begins with a dash would be an option to ssh (CVE-2017-1000117), such a path one to a program there.
_SCP = re.compile(r"(?P<user>\w[\w.-]*)@(?P<host>\w[\w.-]*):(?P<path>[^-\s\\][^\s\\]*)", re.ASCII)
_REF = re.compile(r"[A-Za-z0-9][\w./+@-]{0,250}\Z", re.ASCII)
_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
# Git accepts no abbreviation of less than four digits.
_PREFIX = re.compile(r"[0-9a-f]{4,64}\Z")
_SWITCHES = ("keep-git-dir", "submodules")
"""Queries that may have no value."""
_QUERY = ("ref", "tag", "branch", "subdir", "commit", "checksum", *_SWITCHES, "mtime", "fetch-by-commit")
_QUERY_HINT = f"queries are {', '.join(_QUERY)}"
_HINT = "it would be stored in the cache and in the history; use --secret id={}"


@frozen
class HttpSource:
    """A file at a URL. *checksum* is what its content must have, "" for any content."""

    url: str
    checksum: str = ""
    name: str = UNNAMED
    limit: int = 0
    """The most bytes that it may have; 0 is the limit for all files."""

    @property
    def label(self) -> str:
        """The address for messages and steps."""
        return self.url


@frozen
class GitSource:
    """A git repository. *ref* is a branch, a tag, a full name or a full commit, "" for HEAD of the server.

    *checksum* is a prefix of the commit, or of the tag object that leads to it.
    """

    url: str
    ref: str = ""
    checksum: str = ""
    subdir: str = ""
    keep_git_dir: bool = False
    submodules: bool = True
    shown: str = field(default="", compare=False)

    @property
    def label(self) -> str:
        """The address for messages and steps."""
        return self.shown or self.url

    @property
    def commit(self) -> str:
        """The commit that the address names, "" when the server must be asked for it."""
        named = self.ref or self.checksum
        return named if is_commit(named) else ""


RemoteSource = HttpSource | GitSource


def parse(text: str) -> RemoteSource | None:
    """Return the remote source that *text* means, None when it is not an address (a path, the name of an image).

    Raises:
        ResolveError: it is an address, but an invalid one.
    """
    if _WEB.match(text):
        return _git(text) if _web_path(text).endswith(".git") else _http(text)
    if text.startswith(("git://", "ssh://")) or _SCP.fullmatch(text):
        return _git(text)
    return None


def parse_context(text: str) -> RemoteSource | None:
    """Return the source that *text* means as a build context; a file that is not an archive is called ``context``."""
    if text.startswith("github.com/"):
        return _git(f"https://{text}")
    source = parse(text)
    return replace(source, name="context") if isinstance(source, HttpSource) else source


def is_commit(text: str) -> bool:
    """Return whether *text* is the full hash of a commit."""
    return _COMMIT.match(text) is not None


def with_checksum(source: RemoteSource, checksum: str) -> RemoteSource:
    """Return *source* with the value of ``--checksum``. Raises ResolveError when it is invalid for the source."""
    if isinstance(source, HttpSource):
        try:
            return replace(source, checksum=str(Digest.parse(checksum)))
        except InvalidDigest as error:
            raise ResolveError(f"invalid checksum {checksum!r}: {error}") from error
    return _checked(replace(source, checksum=_merged("checksum", source.checksum, checksum)))


def git_host(url: str) -> str:
    """Return the host of the address of a repository, lower case, without port."""
    found = _SCP.fullmatch(url)
    return (found["host"] if found else urlsplit(url).hostname or "").lower()


def check_git_url(url: str) -> str:
    """Return *url* when it is safe for git. Raises ResolveError; nothing else ever reaches git's command line."""
    if _WEB.match(url):
        _check_web(url, "GIT_AUTH_TOKEN")
    elif not _OTHER.fullmatch(url) and not _SCP.fullmatch(url):
        raise ResolveError(f"unusable address of a git repository {_harmless(url)!r}")
    return url


def _http(text: str) -> HttpSource:
    # An array may have a space in an address, which clients encode, as Go's does.
    url = text.partition("#")[0].replace(" ", "%20")
    _check_web(url, "HTTP_AUTH_TOKEN_<host>")
    name = basename(unquote(_web_path(url)).rstrip("/"))
    if name == "..":
        name = "download"  # BuildKit's name
    usable = name not in {"", "."} and name.isprintable() and len(name.encode()) <= 255
    return HttpSource(url=url, name=name if usable else UNNAMED)


def _git(text: str) -> GitSource:
    address, _, fragment = text.partition("#")
    url, _, query = address.partition("?")
    ref, _, subdir = fragment.partition(":")
    source = GitSource(url=check_git_url(url), ref=ref, subdir=subdir, shown=text)
    return _checked(_with_query(source, query))


def _with_query(source: GitSource, query: str) -> GitSource:
    pairs = parse_qsl(query, keep_blank_values=True)
    given = dict(pairs)
    for number, (key, value) in enumerate(pairs):
        if not value and key not in _SWITCHES:
            raise ResolveError(f'query "{key}" has no value')
        if key in dict(pairs[:number]):
            raise ResolveError(f'query "{key}" has multiple values')
    if "tag" in given and "branch" in given:
        raise ResolveError("branch conflicts with tag")
    for key, value in given.items():
        source = _with_pair(source, key, value)
    return source


def _with_pair(source: GitSource, key: str, value: str) -> GitSource:
    match key:
        case "ref":
            return replace(source, ref=_merged("ref", source.ref, value))
        case "tag":
            return replace(source, ref=_merged("ref", source.ref, f"refs/tags/{value.removeprefix('refs/tags/')}"))
        case "branch":
            return replace(source, ref=_merged("ref", source.ref, f"refs/heads/{value.removeprefix('refs/heads/')}"))
        case "subdir":
            return replace(source, subdir=_merged("subdir", source.subdir, value))
        case "commit" | "checksum":
            return replace(source, checksum=_merged("checksum", source.checksum, value))
        case "keep-git-dir":
            return replace(source, keep_git_dir=_boolean(key, value))
        case "submodules":
            return replace(source, submodules=_boolean(key, value))
        case "mtime" if value in {"checkout", "commit"}:
            return source  # times are always those of the commit, so that a checkout is the same whenever it is made
        case "fetch-by-commit":
            _boolean(key, value)
            return source  # no-op: always tried first
        case _:
            shown = f' with value "{value}"' if key == "mtime" else ""
            raise ResolveError(f'unexpected query "{key}"{shown}', hint=did_you_mean(key, _QUERY) or _QUERY_HINT)


def _merged(name: str, old: str, new: str) -> str:
    if old and old != new:
        raise ResolveError(f'{name} conflicts: "{old}" vs "{new}"')
    return new


def _boolean(key: str, value: str) -> bool:
    try:
        return parse_bool(value) if value else True
    except ValueError:
        raise ResolveError(f'invalid {key} value: "{value}"', hint="use true or false") from None


def _checked(source: GitSource) -> GitSource:
    # What git-check-ref-format(1) forbids, and names that could be taken for options.
    ref = source.ref
    if ref and (not _REF.match(ref) or ".." in ref or "//" in ref or "@{" in ref or ref.endswith(("/", ".", ".lock"))):
        raise ResolveError(f"invalid git reference {ref[:200]!r}")
    if source.checksum and not _PREFIX.match(source.checksum):
        raise ResolveError(f'invalid checksum "{source.checksum[:200]}" for a git repository, expected hex commit hash')
    names = [name for name in source.subdir.split("/") if name not in {"", "."}]
    if ".." in names or "\0" in source.subdir:
        raise ResolveError(f"invalid directory {source.subdir[:200]!r} of a git repository")
    return replace(source, subdir="/".join(names))


def _check_web(url: str, secret: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ResolveError(f"unusable address {_harmless(url)!r}") from error
    if parts.username is not None or parts.password is not None:
        # The address itself is not shown, because messages end up in logs.
        raise ResolveError("an address must not contain a user name or a password", hint=_HINT.format(secret))
    from pybuild.builder.oci.registry.wire.origin import origin_of

    try:
        origin_of(url)
    except RegistryError as error:
        raise ResolveError(str(error)) from error


def _web_path(text: str) -> str:
    try:
        return urlsplit(text).path
    except ValueError as error:
        raise ResolveError(f"unusable address {_harmless(text)!r}") from error


def _harmless(url: str) -> str:
    """Return *url* for a message, without a possible password."""
    return re.sub(r"//[^/]*@", "//***@", url)[:200]

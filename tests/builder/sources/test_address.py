import pytest

from pybuild.builder.errors import ResolveError
from pybuild.builder.sources.address import (
    UNNAMED,
    GitSource,
    HttpSource,
    check_git_url,
    git_host,
    parse,
    parse_context,
    with_checksum,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("https://h.invalid/a/b.tar.gz", "b.tar.gz"),
        ("http://h.invalid:8080/x?y=/z", "x"),
        ("https://h.invalid/dir/", "dir"),
        ("https://h.invalid/", UNNAMED),
        ("https://h.invalid", UNNAMED),
        ("https://h.invalid/a%20b", "a b"),
        ("https://h.invalid/..", "download"),
        ("https://h.invalid/a/..%2f..%2f", "download"),
        ("https://h.invalid/a/.", UNNAMED),
        ("https://h.invalid/..%2f..%2fetc%2fpasswd", "passwd"),
        ("https://h.invalid/a%00b", UNNAMED),
        ("https://h.invalid/a%1b[2J", UNNAMED),
        ("https://h.invalid/" + "x" * 256, UNNAMED),
        ("HTTPS://h.invalid/x", "x"),
        ("https://h.invalid/x#y", "x"),
    ],
)
def test_a_file_from_the_web_is_called_after_the_end_of_its_address(text, name):
    source = parse(text)
    assert isinstance(source, HttpSource)
    assert source.name == name


def test_a_space_in_an_address_is_encoded_and_stands_in_the_name():
    assert parse("http://host/x/a b.txt?q=c d") == HttpSource(url="http://host/x/a%20b.txt?q=c%20d", name="a b.txt")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("https://h.invalid/x.git", GitSource(url="https://h.invalid/x.git")),
        ("https://h.invalid/x.git#main", GitSource(url="https://h.invalid/x.git", ref="main")),
        ("https://h.invalid/x.git#v1:a/b/", GitSource(url="https://h.invalid/x.git", ref="v1", subdir="a/b")),
        ("https://h.invalid/x.git#:a", GitSource(url="https://h.invalid/x.git", subdir="a")),
        ("git@h.invalid:team/x.git#main", GitSource(url="git@h.invalid:team/x.git", ref="main")),
        ("git@h.invalid:team/x", GitSource(url="git@h.invalid:team/x")),
        ("ssh://git@h.invalid:22/x", GitSource(url="ssh://git@h.invalid:22/x")),
        ("git://h.invalid/x", GitSource(url="git://h.invalid/x")),
        ("https://h.invalid/x.git?branch=b", GitSource(url="https://h.invalid/x.git", ref="refs/heads/b")),
        ("https://h.invalid/x.git?tag=t", GitSource(url="https://h.invalid/x.git", ref="refs/tags/t")),
        ("https://h.invalid/x.git?tag=refs/tags/t", GitSource(url="https://h.invalid/x.git", ref="refs/tags/t")),
        ("https://h.invalid/x.git?ref=r&subdir=s", GitSource(url="https://h.invalid/x.git", ref="r", subdir="s")),
        ("https://h.invalid/x.git?ref=r#r", GitSource(url="https://h.invalid/x.git", ref="r")),
        (f"https://h.invalid/x.git?commit={COMMIT}", GitSource(url="https://h.invalid/x.git", checksum=COMMIT)),
        ("https://h.invalid/x.git?checksum=abcd", GitSource(url="https://h.invalid/x.git", checksum="abcd")),
        (
            "https://h.invalid/x.git?keep-git-dir&submodules=",
            GitSource(url="https://h.invalid/x.git", keep_git_dir=True),
        ),
        ("https://h.invalid/x.git?keep-git-dir=1", GitSource(url="https://h.invalid/x.git", keep_git_dir=True)),
        ("https://h.invalid/x.git?submodules=false", GitSource(url="https://h.invalid/x.git", submodules=False)),
        ("https://h.invalid/x.git?mtime=commit", GitSource(url="https://h.invalid/x.git")),
    ],
)
def test_a_repository_is_known_by_its_form(text, wanted):
    source = parse(text)
    assert source == wanted
    assert source is not None
    assert source.label == text


@pytest.mark.parametrize(
    "text", ["a", "./x.git", "a:b", "file:///etc/passwd", "ext::sh -c id", "ftp://h/x", "/x.git", "dir/git@h:x y"]
)
def test_anything_else_is_a_path(text):
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://h.invalid/x.git?colour=red", 'unexpected query "colour"'),
        ("https://h.invalid/x.git?ref=a#b", 'ref conflicts: "b" vs "a"'),
        ("https://h.invalid/x.git?branch=a&tag=b", "branch conflicts with tag"),
        ("https://h.invalid/x.git?subdir=a#:b", 'subdir conflicts: "b" vs "a"'),
        ("https://h.invalid/x.git?ref=", 'query "ref" has no value'),
        ("https://h.invalid/x.git?ref=a&ref=b", 'query "ref" has multiple values'),
        ("https://h.invalid/x.git?keep-git-dir=maybe", 'invalid keep-git-dir value: "maybe"'),
        ("https://h.invalid/x.git?submodules=2", 'invalid submodules value: "2"'),
        ("https://h.invalid/x.git?mtime=now", 'unexpected query "mtime" with value "now"'),
        ("https://h.invalid/x.git#--upload-pack=touch", "invalid git reference"),
        ("https://h.invalid/x.git#a b", "invalid git reference"),
        ("https://h.invalid/x.git#a..b", "invalid git reference"),
        ("https://h.invalid/x.git#a\nb", "invalid git reference"),
        ("https://h.invalid/x.git#a@{1}", "invalid git reference"),
        ("https://h.invalid/x.git#main:../../etc", "invalid directory"),
        ("https://h.invalid/x.git#main:a/../b", "invalid directory"),
        ("https://h.invalid/x.git?commit=-x", "expected hex commit hash"),
        ("ssh://-oProxyCommand=x/y", "unusable address"),
        ("ssh://h.invalid/a b", "unusable address"),
        ("ssh://git:word@h.invalid/x", "unusable address of a git repository 'ssh://***@h.invalid/x'"),
        ("https://me:word@[::1/x", "unusable address 'https://***@[::1/x'"),
        ("git://h.invalid:x/y", "unusable address"),
        ("https://127.1/x", "unusable address"),
        ("https://h.invalid:99999/x", "unusable address"),
        ("https://h.invalid\\evil.invalid/x", "unusable address"),
        ("https://[::1/x", "unusable address"),
    ],
)
def test_what_is_meant_as_an_address_but_cannot_be_used_is_refused(text, message):
    with pytest.raises(ResolveError) as caught:
        parse(text)
    assert message in caught.value.message


@pytest.mark.parametrize("text", ["git@h.invalid:--upload-pack=touch", "-git@h.invalid:x"])
def test_what_ssh_could_take_for_an_option_is_no_address(text):
    assert parse(text) is None


@pytest.mark.parametrize("text", ["https://me:word@h.invalid/x", "https://me@h.invalid/x.git"])
def test_a_password_in_an_address_is_refused_and_not_repeated(text):
    with pytest.raises(ResolveError, match="must not contain a user name or a password") as caught:
        parse(text)
    assert "word" not in caught.value.message.replace("password", "")
    assert "--secret" in caught.value.hint


@pytest.mark.parametrize("url", ["--upload-pack=x", "ext::sh", "file:///x", "/etc", "", "host:x", "git@h.invalid:-x"])
def test_nothing_but_an_address_is_given_to_git(url):
    with pytest.raises(ResolveError):
        check_git_url(url)


def test_a_full_commit_needs_no_question():
    assert GitSource(url="u", ref=COMMIT).commit == COMMIT
    assert GitSource(url="u", checksum=COMMIT).commit == COMMIT
    assert GitSource(url="u", ref="main", checksum=COMMIT).commit == ""
    assert GitSource(url="u", ref=COMMIT[:12]).commit == ""


def test_a_context_may_leave_out_the_scheme_of_one_well_known_host():
    assert parse_context("github.com/team/x.git#main") == GitSource(url="https://github.com/team/x.git", ref="main")
    assert parse_context("github.com/team/x") == GitSource(url="https://github.com/team/x")
    assert parse("github.com/team/x.git") is None


def test_a_query_that_is_misspelt_is_refused_with_the_one_that_was_meant():
    with pytest.raises(ResolveError, match='unexpected query "subdr"') as caught:
        parse("https://h.invalid/x.git?subdr=a")
    assert caught.value.hint == 'did you mean "subdir"?'


def test_the_file_of_a_context_has_a_name_of_its_own():
    source = parse_context("https://h.invalid/Dockerfile")
    assert isinstance(source, HttpSource)
    assert source.name == "context"


def test_two_checksums_must_agree():
    source = GitSource(url="u", checksum="abcd")
    assert with_checksum(source, "abcd") == source
    with pytest.raises(ResolveError, match="checksum conflicts"):
        with_checksum(source, "abce")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://H.invalid:1/x.git", "h.invalid"),
        ("git@H.invalid:x", "h.invalid"),
        ("ssh://a@h.invalid/x", "h.invalid"),
    ],
)
def test_the_host_of_a_repository_is_found_in_every_form(url, host):
    assert git_host(url) == host

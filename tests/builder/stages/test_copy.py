import pytest

from pybuild.builder.errors import ResolveError
from pybuild.builder.plan.ops import Copy, Inline, Pick
from pybuild.builder.sources.address import GitSource, HttpSource
from pybuild.builder.stages.stages import FromContext, FromRemote, FromStage
from tests.helpers.resolving import marked, stage_of, step_of


def copy_of(instructions):
    op = step_of(instructions).op
    assert isinstance(op, Copy)
    return op


def unpacked(instructions):
    picks = [item for item in copy_of(instructions).sources if isinstance(item, Pick)]
    return all(pick.unpack for pick in picks)


def remote(instructions):
    """The remote source of an instruction and its pick."""
    step = step_of(instructions)
    (wanted,) = step.inputs
    assert isinstance(step.op, Copy)
    assert isinstance(wanted, FromRemote)
    return wanted.source, step.op.sources[0]


def refused(text, message):
    with pytest.raises(ResolveError) as caught:
        stage_of(text)
    assert message in caught.value.message
    return marked(text, caught.value.span)


def test_sources_come_from_the_build_context():
    step = step_of("COPY a b /c/\n")
    assert step.inputs == (FromContext(),)
    assert step.op == Copy(sources=(Pick(path="a", input=1), Pick(path="b", input=1)), destination="/c/")


def test_sources_come_from_the_stage_that_is_named():
    assert stage_of("FROM base AS one\nFROM base\nCOPY --from=ONE a /b\n").steps[0].inputs == (FromStage(0),)


def test_variables_are_expanded_in_paths_and_owner_and_mode_but_not_in_patterns():
    op = copy_of("ENV x=1\nCOPY --chown=u$x --chmod=064$x --exclude=$x a$x /b$x/\n")
    assert (op.sources, op.destination) == ((Pick(path="a1", input=1),), "/b1/")
    assert (op.chown, op.chmod, op.exclude) == ("u1", "0641", ("$x",))


def test_a_destination_is_relative_to_the_workdir():
    assert copy_of("WORKDIR /w\nCOPY a b\n").destination == "/w/b"
    assert copy_of("WORKDIR /w\nCOPY a .\n").destination == "/w/"


def test_the_user_owns_nothing_that_is_copied():
    assert copy_of("USER alice\nCOPY a /\n").chown == ""


def test_only_add_unpacks_archives():
    assert not unpacked("COPY a /\n")
    assert unpacked("ADD a /\n")


def test_a_heredoc_is_a_file_with_variables_expanded_unless_its_word_is_quoted():
    op = copy_of("ENV x=1\nCOPY <<one <<'two' /d/\n$x\"\none\n$x\ntwo\n")
    assert op.sources == (Inline(name="one", content='1"\n'), Inline(name="two", content="$x\n"))


@pytest.mark.parametrize(("word", "name"), [("../up", "up"), ("/top", "top"), ("end/", "end"), ("a/../x", "x")])
def test_a_heredoc_is_copied_under_the_clean_form_of_its_name(word, name):
    assert copy_of(f"COPY <<{word} /d/\n{word}\n").sources == (Inline(name=name, content=""),)


@pytest.mark.parametrize("word", ["etc/app.conf", "..", ".", "/", "a/.."])
def test_a_heredoc_whose_name_is_no_file_name_is_refused_where_it_stands(word):
    message = f'invalid file name "{word}" of a heredoc'
    assert refused(f"FROM base\nCOPY <<{word} /d/\n{word}\n", message) == f"<<{word}"


def test_a_copy_of_heredocs_alone_needs_no_context():
    assert step_of("COPY <<E /f\nx\nE\n").inputs == ()


def test_a_pattern_with_a_slash_at_its_start_excludes_nothing_and_includes_nothing_again():
    op = copy_of("COPY --exclude=/a --exclude=!/a/b --exclude=//c --exclude=/../d --exclude=e/f . /\n")
    assert op.exclude == ("e/f",)


def test_link_is_carried_along():
    assert copy_of("COPY --link a /\n").link


def test_link_has_no_effect_beside_a_mode():
    assert not copy_of("COPY --link --chmod=644 a /\n").link
    assert not copy_of("ADD --link --chmod=u+x a /\n").link
    assert copy_of("ARG unset\nCOPY --link --chmod=$unset a /\n").link


@pytest.mark.parametrize("mode", ["0", "0755", "7777", "4711"])
def test_a_mode_is_an_octal_number(mode):
    assert copy_of(f"COPY --chmod={mode} a /\n").chmod == mode


@pytest.mark.parametrize("mode", ["64a", "10000", "8", "0o755", "7_5"])
def test_a_mode_that_is_no_octal_number_is_refused_where_it_stands(mode):
    message = f"invalid chmod parameter: '{mode}'. it should be octal string and between 0 and 07777"
    assert refused(f"FROM base\nCOPY --chmod={mode} a /\n", message) == mode


def test_copy_takes_no_address():
    url = "https://example.invalid/x"
    assert refused(f"FROM base\nCOPY {url} /\n", "source can't be a URL for COPY") == url


def test_copy_takes_no_repository():
    url = "https://example.invalid/x.git"
    assert refused(f"FROM base\nCOPY {url} /\n", "source can't be a git ref for COPY") == url


def test_add_takes_a_file_from_the_web_by_its_name():
    source, pick = remote("ENV v=1\nADD https://example.invalid/a-$v.tar.gz /d/\n")
    assert source == HttpSource(url="https://example.invalid/a-1.tar.gz", name="a-1.tar.gz")
    assert pick == Pick(path="a-1.tar.gz", input=1)


def test_a_name_from_the_web_is_no_pattern():
    _, pick = remote("ADD https://example.invalid/%5Ba%5D*%3F.txt /d/\n")
    assert pick.path == r"[\[]a][\*][\?].txt"


def test_add_takes_a_repository_as_a_tree():
    source, pick = remote("ADD --keep-git-dir https://example.invalid/x.git#v1:sub /d/\n")
    assert source == GitSource(url="https://example.invalid/x.git", ref="v1", subdir="sub", keep_git_dir=True)
    assert pick == Pick(path="/", input=1)


@pytest.mark.parametrize(
    ("flag", "local", "web"), [("", True, False), ("--unpack", True, True), ("--unpack=false", False, False)]
)
def test_local_archives_are_unpacked_by_themselves_remote_ones_when_asked(flag, local, web):
    sources = copy_of(f"ADD {flag} a https://example.invalid/b /d/\n").sources
    assert [item.unpack for item in sources if isinstance(item, Pick)] == [local, web]


def test_each_kind_of_source_has_an_input_of_its_own():
    step = step_of("ADD a https://example.invalid/b c https://example.invalid/b /d/\n")
    assert isinstance(step.op, Copy)
    assert [item.input for item in step.op.sources if isinstance(item, Pick)] == [1, 2, 1, 2]
    assert step.inputs[0] == FromContext()
    assert len(step.inputs) == 2


@pytest.mark.parametrize("mode", ["u=rwX,go=rX", "+x", "a-w", "ug+s,o=", "u=g"])
def test_a_mode_may_be_symbolic(mode):
    assert copy_of(f"COPY --chmod={mode} a /\n").chmod == mode


SUM = "sha256:" + "a" * 64


def test_a_checksum_is_part_of_the_source():
    assert remote(f"ADD --checksum={SUM} https://example.invalid/b /d/\n")[0].checksum == SUM
    assert remote("ADD --checksum=abcdef https://example.invalid/b.git /d/\n")[0].checksum == "abcdef"


@pytest.mark.parametrize(
    ("instruction", "message", "place"),
    [
        (f"ADD --checksum={SUM} a /", "checksum requires HTTP(S) or Git sources", SUM),
        (f"ADD --checksum={SUM} https://h.invalid/a b /", "checksum can't be specified for multiple sources", SUM),
        ("ADD --checksum=sha256:1 https://h.invalid/a /", "invalid checksum 'sha256:1'", "sha256:1"),
        ("ADD --checksum=xyz https://h.invalid/a.git /", 'invalid checksum "xyz"', "xyz"),
        ("ADD https://h.invalid/a.git#-x /", "invalid git reference '-x'", "https://h.invalid/a.git#-x"),
        ("ADD https://me@h.invalid/a /", "must not contain a user name", "https://me@h.invalid/a"),
    ],
)
def test_what_is_wrong_with_a_remote_source_is_told_where_it_stands(instruction, message, place):
    assert refused(f"FROM base\n{instruction}\n", message) == place

import pytest

from builder.errors import ResolveError
from builder.ops import Copy, Inline, Pick
from builder.stages import FromContext, FromStage
from tests.helpers.resolving import marked, stage_of, step_of


def copy_of(instructions):
    op = step_of(instructions).op
    assert isinstance(op, Copy)
    return op


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
    assert not copy_of("COPY a /\n").unpack
    assert copy_of("ADD a /\n").unpack


def test_a_heredoc_is_a_file_with_variables_expanded_unless_its_word_is_quoted():
    op = copy_of("ENV x=1\nCOPY <<one <<'two' /d/\n$x\"\none\n$x\ntwo\n")
    assert op.sources == (Inline(name="one", content='1"\n'), Inline(name="two", content="$x\n"))


def test_a_copy_of_heredocs_alone_needs_no_context():
    assert step_of("COPY <<E /f\nx\nE\n").inputs == ()


def test_link_is_carried_along():
    assert copy_of("COPY --link a /\n").link


@pytest.mark.parametrize("mode", ["0", "0755", "7777", "4711"])
def test_a_mode_is_an_octal_number(mode):
    assert copy_of(f"COPY --chmod={mode} a /\n").chmod == mode


@pytest.mark.parametrize("mode", ["64a", "10000", "8", "-1"])
def test_a_mode_that_is_no_octal_number_is_refused_where_it_stands(mode):
    message = f"invalid chmod parameter: '{mode}'. it should be octal string and between 0 and 07777"
    assert refused(f"FROM base\nCOPY --chmod={mode} a /\n", message) == mode


def test_copy_takes_no_address():
    url = "https://example.invalid/x"
    assert refused(f"FROM base\nCOPY {url} /\n", "source can't be a URL for COPY") == url

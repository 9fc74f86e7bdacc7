"""What variables a word of a stage may use, as the checks see it."""

import pytest

from pybuild.builder.checks.scope import Globals, StageScope, clean_source
from pybuild.builder.oci.model import ContainerConfig, ImageConfig
from pybuild.grammar.dockerfile.parser import parse
from pybuild.grammar.nodes import Word
from pybuild.grammar.source import Span
from tests.helpers.resolving import source_of

BASE = ImageConfig(architecture="amd64", os="linux", config=ContainerConfig(env=("A=of the base",)))


def scope_after(text: str, *, base: ImageConfig | None = BASE, **build_args: str) -> StageScope:
    found = StageScope(Globals(scope={"G": "global"}, build_args=build_args, escape="\\"), base)
    for node in parse(source_of(f"FROM x\n{text}")).instructions[1:]:
        found.follow(node)
    return found


def word(text: str) -> Word:
    return Word(text, Span(0, 0))


def test_an_argument_has_the_value_of_the_command_line_of_the_line_or_of_the_file() -> None:
    found = scope_after("ARG a=1 b=2 G c\n", a="given")
    assert {name: found.variables.get(name) for name in ("a", "b", "G", "c")} == {
        "a": "given",
        "b": "2",
        "G": "global",
        "c": None,
    }
    assert found.defines("c"), "it is declared"
    assert not found.defines("d")


def test_a_global_argument_that_the_stage_does_not_declare_is_not_defined() -> None:
    assert not scope_after("").defines("G")


def test_env_expands_with_what_was_before_its_line() -> None:
    found = scope_after("ENV A=new B=$A C=${nope}\n")
    assert (found.variables["A"], found.variables["B"], found.variables["C"]) == ("new", "of the base", "")


@pytest.mark.parametrize("base", [BASE, None])
def test_a_base_that_is_not_known_may_define_anything(base: ImageConfig | None) -> None:
    assert scope_after("", base=base).defines("anything") is (base is None)
    assert scope_after("", base=base).defines("PATH"), "each step has one"


def test_a_stage_on_another_does_not_change_it() -> None:
    first = scope_after("ENV a=1\n")
    second = first.copy()
    second.variables["b"] = "2"
    second.declared.add("c")
    assert not first.defines("b")
    assert not first.defines("c")


def test_a_malformed_word_has_no_value_and_is_no_failure() -> None:
    found = scope_after("ENV a=1\n")
    assert found.expand(word("$a/${a:+x}")) == "1/x"
    assert found.expand(word("${a")) is None


def test_shell_and_workdir_are_remembered() -> None:
    found = scope_after('SHELL ["/bin/x"]\nWORKDIR /w\n')
    assert (found.has_shell, found.workdir_is_set) == (True, True)
    assert (scope_after("").has_shell, scope_after("").workdir_is_set) == (False, False)


@pytest.mark.parametrize(("text", "path"), [("/a/../b/", "b"), (".", "."), ("/", "."), ("./a//c", "a/c")])
def test_a_source_is_a_path_of_the_context(text: str, path: str) -> None:
    assert clean_source(text) == path

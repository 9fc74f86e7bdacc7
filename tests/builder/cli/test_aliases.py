import os
from pathlib import Path

import pytest

from pybuild.builder.cli.aliases import ALIASES, spelled_out
from pybuild.builder.cli.commands import COMMANDS
from tests.builder.cli.conftest import Shop


@pytest.mark.parametrize("words", [("image", "ls"), ("image", "list"), ("images",)])
def test_images_are_listed_by_dockers_longer_names(shop: Shop, words: tuple[str, ...]) -> None:
    image = shop.image("tiny:1")
    assert shop.run(*words, "-q").lines == [image.id.hex[:12]]


def test_other_commands_have_them_too(shop: Shop) -> None:
    image = shop.image("tiny:1")
    assert shop.run("image", "inspect", "-f", "{{.Id}}", "tiny:1").lines == [str(image.id)]
    assert shop.run("image", "tag", "tiny:1", "b:1").code == 0
    assert shop.run("image", "rm", "b:1").lines == ["Untagged: b:1"]
    assert shop.run("system", "df", "--format", "{{.Type}}").lines[0] == "Images"
    assert shop.run("builder", "prune", "-f").lines[-1] == "Total reclaimed space: 0B"
    assert shop.run("buildx", "build", "nowhere").code == 2


def test_the_build_cache_is_pruned_without_images(shop: Shop) -> None:
    shop.image()
    assert shop.run("builder", "prune", "-af").code == 0
    assert len(shop.store.layout.entries()) == 1
    shop.run("system", "prune", "-f")
    assert len(shop.store.layout.entries()) == 0


@pytest.mark.parametrize("words", sorted(ALIASES))
def test_each_leads_to_a_command(words: tuple[str, str]) -> None:
    assert spelled_out([*words, "x"])[0] in COMMANDS


def test_the_first_word_of_such_a_name_alone_lists_what_goes_with_it(shop: Shop) -> None:
    assert spelled_out(["image"]) == ["image"]
    for words in (["image"], ["image", "--help"], ["help", "image"]):
        shown = shop.run(*words)
        assert shown.code == 0
        assert "image ls           images" in shown.out


@pytest.mark.parametrize(
    ("words", "name", "hint"),
    [
        (["biuld", "-t", "x", "."], "biuld", 'did you mean "pybuild build"?'),
        (["container", "strat", "x"], "container strat", 'did you mean "pybuild container start"?'),
        (["image", "lss"], "image lss", 'did you mean "pybuild image ls"?'),
        (["bake"], "bake", "its files are not read; 'pybuild build' takes several targets"),
        (["buildx", "bake", "--print"], "buildx bake", "its files are not read"),
        (["buildx", "create", "--use"], "buildx create", "there is no daemon, and no builder is needed"),
        (["buildx", "imagetools"], "buildx imagetools", "see 'pybuild --help'"),
        (["compose", "up"], "compose", "its files are not read; 'pybuild run' and"),
        (["tga", "a", "b"], "tga", 'did you mean "pybuild tag"?'),
        (["zz"], "zz", "see 'pybuild --help'"),
        (["help", "nothing-like-it"], "nothing-like-it", "see 'pybuild --help'"),
    ],
)
def test_an_unknown_command_is_no_build(shop: Shop, words: list[str], name: str, hint: str) -> None:
    result = shop.run(*words)
    # As with docker, whose groups of container commands end with 1.
    assert (result.code, result.out) == (1 if words[0] == "container" else 2, "")
    assert result.err.startswith(f"ERROR: unknown command: pybuild {name}\nhint: ")
    assert hint in result.err


def test_a_directory_of_that_name_is_built_when_it_is_written_as_a_path(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stack").mkdir()
    (tmp_path / "stack" / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    monkeypatch.chdir(tmp_path)
    refused = shop.run("stack")
    assert (refused.code, "to build the directory, write ./stack" in refused.err) == (2, True)
    assert shop.run("./stack").code == 0
    assert shop.run(os.fspath(tmp_path / "stack")).code == 0


@pytest.mark.parametrize("words", [["help"], ["--help"], []])
def test_help_lists_the_commands(shop: Shop, words: list[str]) -> None:
    result = shop.run(*words)
    assert result.code == 0
    assert "Build an image from a Dockerfile." in result.out


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (["build"], "Usage: pybuild build [OPTIONS] CONTEXT"),
        (["image", "ls"], "Usage: pybuild images [OPTIONS]"),
        (["builder", "prune"], "Usage: pybuild prune [OPTIONS]"),
        (["manifest", "create"], "Usage: pybuild manifest create [OPTIONS]"),
    ],
)
def test_help_of_a_command_is_what_the_command_says_itself(shop: Shop, words: list[str], first: str) -> None:
    assert shop.run("help", *words).out.startswith(first)
    assert shop.run(*words, "--help").out.startswith(first)


@pytest.mark.parametrize("words", [["-D", "images", "-q"], ["images", "-D", "-q"], ["images", "-q", "--debug"]])
def test_the_flag_for_tracebacks_stands_anywhere(shop: Shop, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    image = shop.image("tiny:1")
    assert shop.run(*words).lines == [image.id.hex[:12]]

    def broken(_template: str | None) -> None:
        raise AssertionError("not to be reached")

    monkeypatch.setattr("pybuild.builder.cli.commands.image.images.catalog", broken)
    failed = shop.run(*words)
    assert (failed.code, "Traceback" in failed.err) == (70, True)


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (["manifest"], "Usage: pybuild manifest [OPTIONS] COMMAND"),
        (["manifest", "help"], "Usage: pybuild manifest [OPTIONS] COMMAND"),
        (["image"], "Usage: pybuild image COMMAND"),
        (["image", "help"], "Usage: pybuild image COMMAND"),
        (["image", "help", "ls"], "Usage: pybuild images [OPTIONS]"),
        (["builder", "help"], "Usage: pybuild builder COMMAND"),
    ],
)
def test_a_family_alone_shows_its_help(shop: Shop, words: list[str], first: str) -> None:
    result = shop.run(*words)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(first)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--versoin"], "did you mean pybuild --version?"),
        (["build", "--version", "."], "did you mean pybuild --version?"),
        (["build", "--no-cahce", "."], "did you mean --no-cache?"),
        (["build", "-no-cache", "."], "did you mean --no-cache?"),
        (["run", "-rm", "x"], "did you mean --rm?"),
        (["images", "--no-trnc"], "did you mean --no-trunc?"),
        (["build", "--network-of-steps", "."], "did you mean --network?"),
        (["images", "--zzzz"], "see 'pybuild images --help'"),
        (["images", "-Z"], "see 'pybuild images --help'"),
    ],
)
def test_an_unknown_option_has_the_nearest_as_its_hint(shop: Shop, words: list[str], hint: str) -> None:
    result = shop.run(*words)
    assert (result.code, result.out) == (125 if words[0] == "run" else 2, "")
    assert result.err.startswith("ERROR: no such option")
    assert result.err.splitlines()[1:] == [f"hint: {hint}"]


def test_a_build_without_a_context_says_what_to_add(shop: Shop) -> None:
    hint = "hint: end the command with the directory of the build context, such as: pybuild build -t NAME ."
    assert shop.run("build", "-t", "x").err.splitlines() == ["ERROR: missing argument 'CONTEXT'", hint]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["build", "-no-cache=true", "."], "'-n' in '-no-cache=true'"),
        (["run", "-itz", "x"], "'-z' in '-itz'"),
        (["build", "-R", "."], "'-R'"),
    ],
)
def test_an_unknown_letter_is_shown_in_its_word(shop: Shop, words: list[str], message: str) -> None:
    assert shop.run(*words).err.splitlines()[0] == f"ERROR: no such option {message}"

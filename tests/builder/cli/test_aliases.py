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

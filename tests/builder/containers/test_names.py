import pytest

from pybuild.builder.containers.names import check_name, is_id, new_id, random_name
from pybuild.builder.errors import RequestError


def test_names_are_dockers() -> None:
    for name in ("ab", "a_b.c-d", "0a", "/ab"):
        assert check_name(name) == name.removeprefix("/")
    for name in ("", "a", "-ab", "a b", "a/b", "é.é", "a\n", "..", "x" * 300):
        with pytest.raises(RequestError, match="Invalid container name"):
            check_name(name)
    assert check_name(random_name())


def test_only_whole_ids_are_ids() -> None:
    assert is_id(new_id())
    for text in ("", "a" * 63, "a" * 65, "A" * 64, "../" + "a" * 61, "a" * 64 + "\n"):
        assert not is_id(text)

import hashlib
import json
from typing import Any

import pytest

from tests.builder.cli.conftest import BASE, Shop


@pytest.fixture
def pair(shop: Shop) -> Shop:
    shop.image("a:1", layers=(BASE, {"own": b"1"}))
    shop.image("b:0", layers=(BASE, {"etc/.wh.motd": b"", "bin/x": b"changed", "new/y": b"22"}))
    shop.run("mutate", "b:0", "-t", "b:1", "-e", "A=1", "--annotation", "k=v")
    return shop


def document(shop: Shop, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shop.run("diff", "--format", "json", *words).out)
    return found


def test_text_shows_settings_layers_and_files(pair: Shop) -> None:
    result = pair.run("diff", "a:1", "b:1")
    assert (result.code, result.err) == (0, "")
    lines = result.lines
    assert lines[:3] == ["Config:", '+ annotations.k: "v"', '+ config.Env.A: "1"']
    assert [line[:1] for line in lines[lines.index("Layers:") + 1 :][:3]] == ["=", "-", "+"]
    files = ["C /bin", "C /bin/x", "C /etc", "D /etc/motd", "A /new", "A /new/y", "D /own"]
    assert lines[lines.index("Files:") + 1 :] == files


def test_files_alone_are_printed_as_docker_diff_does(pair: Shop) -> None:
    assert pair.run("diff", "--only", "files", "b:1", "a:1").lines == [
        "C /bin",
        "C /bin/x",
        "C /etc",
        "A /etc/motd",
        "D /new",
        "A /own",
    ]


def test_json_has_the_status_of_both_sides(pair: Shop) -> None:
    found = document(pair, "a:1", "b:1")
    assert found["config"][0] == {"field": "annotations.k", "A": None, "B": "v"}
    assert [len(found["layers"][name]) for name in ("shared", "A", "B")] == [1, 1, 1]
    files = {change["path"]: change for change in found["files"]}
    assert files["/new/y"]["A"] is None
    status = {"type": "file", "mode": "0644", "uid": 0, "gid": 0, "mtime": 0, "size": 2}
    assert files["/new/y"]["B"] == {**status, "digest": "sha256:" + hashlib.sha256(b"22").hexdigest()}
    assert files["/bin/x"]["kind"] == "C"
    assert files["/bin/x"]["A"]["size"] == 2000
    assert files["/etc/motd"]["B"] is None


def test_a_part_alone_is_all_that_json_has(pair: Shop) -> None:
    assert set(document(pair, "--only", "layers", "a:1", "b:1")) == {"A", "B", "layers"}


def test_the_same_image_differs_in_nothing(pair: Shop) -> None:
    result = pair.run("diff", "--exit-code", "--only", "files", "a:1", "a:1")
    assert (result.code, result.out) == (0, "")
    assert [line[:1] for line in pair.run("diff", "a:1", "a:1").lines] == ["L", "=", "="]


def test_an_exit_code_is_given_when_asked_for(pair: Shop) -> None:
    assert pair.run("diff", "--exit-code", "a:1", "b:1").code == 1
    assert pair.run("diff", "--exit-code", "--only", "files", "b:0", "b:1").code == 0
    assert pair.run("diff", "--exit-code", "--only", "config", "b:0", "b:1").code == 1


def test_a_flat_image_has_the_same_files(pair: Shop) -> None:
    pair.run("flatten", "b:1", "-t", "flat")
    assert pair.run("diff", "--only", "files", "--times", "b:1", "flat").out == ""


def test_foreign_text_is_made_harmless(shop: Shop) -> None:
    shop.image("a:1", layers=({"x": b""},))
    shop.image("b:1", layers=({"x": b"", "\x1b[31mred\n": b""},))
    shop.run("mutate", "b:1", "-t", "b:1", "--label", "l=\x1b]0;title\x07")
    out = shop.run("diff", "a:1", "b:1").out
    assert "\x1b" not in out
    assert len([line for line in out.splitlines() if "red" in line]) == 1


@pytest.mark.parametrize(("words", "code"), [(["a:1", "nope"], 1), (["a:1"], 1), (["a:1", "b:1", "--only", "x"], 2)])
def test_what_cannot_be_is_refused(pair: Shop, words: list[str], code: int) -> None:
    assert pair.run("diff", *words).code == code

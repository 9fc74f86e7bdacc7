from dataclasses import replace
from typing import get_args

import pytest

from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.keys import MEANING, excluded, key, listing_key, picks, selection_key
from pybuild.builder.plan.ops import (
    Base,
    BindMount,
    CacheMount,
    Copy,
    Exact,
    Inline,
    Local,
    Mkdir,
    Op,
    Pick,
    Run,
    Script,
    SecretMount,
)

ROOT, OTHER, CONTENT = (Digest.of(text) for text in (b"root", b"other", b"content"))
PICK = Pick(path="a/b", input=1)
COPY = Copy(sources=(PICK, Inline(name="f", content="x")), destination="/d")
MOUNTS = (
    BindMount(target="/m", source="s", input=1),
    CacheMount(target="/c"),
    BindMount(target="/n", input=2),
)
RUN = Run(args=("x",), mounts=MOUNTS)


def copy_key(op=COPY, root=ROOT, content=CONTENT):
    return key(op, root, (content,))


def test_the_picks_of_an_op_are_what_it_reads_beside_its_root():
    assert picks(COPY) == (PICK,)
    assert picks(RUN) == (Pick(path="s", input=1), Pick(path="", input=2))
    assert picks(Mkdir(path="/x")) == ()


def test_the_source_of_a_mount_is_a_name_even_where_it_looks_like_a_pattern():
    slug = replace(RUN, mounts=(BindMount(target="/m", source="app/[slug]", input=1),))
    assert picks(slug) == (Exact(path="app/[slug]", input=1),)
    pattern = Pick(path="app/[slug]", input=1)
    assert selection_key(slug, picks(slug)[0], ROOT) != selection_key(slug, pattern, ROOT)


def test_only_a_copy_leaves_something_out():
    assert excluded(replace(COPY, exclude=("*.md",))) == ("*.md",)
    assert excluded(RUN) == ()


def test_the_name_of_a_source_is_no_part_of_a_key():
    renamed = replace(COPY, sources=(Pick(path="elsewhere", input=1), COPY.sources[1]))
    assert copy_key(renamed) == copy_key()


def test_root_and_content_are_part_of_a_key():
    assert len({copy_key(), copy_key(root=OTHER), copy_key(content=OTHER)}) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"destination": "/d/"},
        {"chown": "1"},
        {"chmod": "0644"},
        {"link": True},
        {"sources": (replace(PICK, unpack=True), Inline(name="f", content="x"))},
        {"sources": (PICK, Inline(name="g", content="x"))},
        {"sources": (PICK, Inline(name="f", content="y"))},
        {"sources": (Inline(name="f", content="x"), PICK)},
    ],
)
def test_everything_that_decides_what_a_copy_makes_is_part_of_its_key(change):
    assert copy_key(replace(COPY, **change)) != copy_key()


@pytest.mark.parametrize(
    "change",
    [
        {"args": ("x", "")},
        {"env": (("A", "1"),)},
        {"cwd": "/x"},
        {"user": "u"},
        {"network": "none"},
        {"security": "insecure"},
        {"hostname": "h"},
        {"hosts": (("h", "1.2.3.4"),)},
        {"mounts": ()},
        {"mounts": (replace(MOUNTS[0], read_only=False), *MOUNTS[1:])},
        {"scripts": (Script(path="/s", content="x"),)},
    ],
)
def test_everything_that_a_process_sees_is_part_of_its_key(change):
    assert key(replace(RUN, **change), ROOT, ()) != key(RUN, ROOT, ())


def test_proxies_are_no_part_of_a_key():
    assert key(replace(RUN, proxies=(("HTTP_PROXY", "p"),)), ROOT, ()) == key(RUN, ROOT, ())


def test_a_base_is_its_layers_not_its_name():
    base = Base(diff_ids=("sha256:1",), manifest="m", reference="r")
    assert key(replace(base, manifest="n", reference="s"), None, ()) == key(base, None, ())
    assert key(replace(base, diff_ids=("sha256:2",)), None, ()) != key(base, None, ())


def test_what_is_selected_is_defined_by_path_patterns_and_source():
    definitions = {
        selection_key(COPY, PICK, ROOT),
        selection_key(COPY, PICK, OTHER),
        selection_key(COPY, Pick(path="x", input=1), ROOT),
        selection_key(replace(COPY, exclude=("x",)), PICK, ROOT),
    }
    assert len(definitions) == 4
    assert selection_key(replace(COPY, destination="/other"), Pick(path="a/b", input=2), ROOT) in definitions


def test_a_listing_is_no_key_of_a_stage():
    assert listing_key(ROOT) != selection_key(COPY, PICK, ROOT)


@pytest.mark.parametrize("kind", [Copy, Run, Mkdir])
def test_a_new_meaning_of_one_kind_of_op_changes_the_keys_of_that_kind_alone(monkeypatch, kind):
    ops = (COPY, RUN, Mkdir(path="/x"))
    before = [key(op, ROOT, ()) for op in ops]
    monkeypatch.setitem(MEANING, kind, MEANING[kind] + 1)
    assert [key(op, ROOT, ()) != old for op, old in zip(ops, before, strict=True)] == [type(op) is kind for op in ops]


def test_only_steps_with_mounts_have_newer_meanings(monkeypatch):
    def step(**mount):
        return Run(args=("x",), mounts=(SecretMount(target="", id="s", **mount),))

    ops = (step(env="A"), step(env="A", required=True), step(), RUN, replace(RUN, mounts=()))
    now = [key(op, ROOT, ()) for op in ops]
    # As the releases before wrote their records.
    for meaning, same in ((lambda op: MEANING[type(op)], 1), (lambda _op: (MEANING[Run], 1), 0)):
        monkeypatch.setattr("pybuild.builder.plan.keys._meaning", meaning)
        assert sum(key(op, ROOT, ()) == found for op, found in zip(ops, now, strict=True)) == same


@pytest.mark.parametrize(
    ("chmod", "is_newer"),
    [("u=g", True), ("a+x-X", True), ("u+g", False), ("u=rwX,go=rX", False), ("755", False), ("", False)],
)
def test_only_copies_with_a_mode_that_copies_bits_have_a_newer_meaning(monkeypatch, chmod, is_newer):
    now = key(replace(COPY, chmod=chmod), ROOT, ())
    monkeypatch.setattr("pybuild.builder.plan.keys._meaning", lambda op: MEANING[type(op)])
    assert (key(replace(COPY, chmod=chmod), ROOT, ()) != now) is is_newer


def test_only_copies_that_unpack_have_another_meaning(monkeypatch):
    def copy(chown, unpack):
        return replace(COPY, chown=chown, chmod="", sources=(replace(PICK, unpack=unpack),))

    ops = (copy("5", True), copy("", True), copy("5", False), copy("", False))
    now = [key(op, ROOT, ()) for op in ops]
    monkeypatch.setattr("pybuild.builder.plan.keys._meaning", lambda op: MEANING[type(op)])
    assert [key(op, ROOT, ()) == found for op, found in zip(ops, now, strict=True)] == [False, False, True, True]


def test_a_new_meaning_of_selections_forgets_what_they_were(monkeypatch):
    before = selection_key(COPY, PICK, ROOT), listing_key(CONTENT)
    monkeypatch.setitem(MEANING, Pick, MEANING[Pick] + 1)
    assert selection_key(COPY, PICK, ROOT) != before[0]
    assert listing_key(CONTENT) != before[1]


def test_every_op_that_has_a_key_has_a_meaning():
    assert set(get_args(Op)) - {Local} <= set(MEANING)

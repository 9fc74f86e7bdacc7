"""What is stored, byte for byte: a store and a shared cache of an older pybuild must give hits.

A literal here may only change together with `keys.MEANING`, or with the version of the document that it stands in.
"""

import json
from dataclasses import fields
from typing import get_args

import pytest

from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan import codec
from pybuild.builder.plan.keys import MEANING, key, listing_key, own_key, selection_key
from pybuild.builder.plan.ops import (
    Base,
    Copy,
    Exact,
    Git,
    Http,
    Inline,
    Local,
    Mkdir,
    Op,
    Pick,
    Run,
    RunMount,
    Scratch,
    Script,
)
from pybuild.builder.plan.plan import Plan, Vertex
from pybuild.runtime.values import frozen
from tests.helpers.resolving import step_of

ROOT, CONTENT = Digest.of(b"root"), Digest.of(b"content")
COPY = Copy(
    sources=(Pick(path="a/*", input=1, unpack=True), Inline(name="name", content="text\n")),
    destination="/to/",
    chown="0:7",
    chmod="u=rw",
    link=True,
    parents=True,
    exclude=("*.md", "!x"),
)
RUN = Run(
    args=("sh", "-c", "true"),
    env=(("A", "1"), ("B", "é\udcff")),
    cwd="/w",
    user="u:g",
    network="none",
    security="insecure",
    hostname="h",
    hosts=(("db", "10.0.0.1"),),
    mounts=(),
    scripts=(Script(path="/dev/pipes/EOF", content="#!/bin/sh\n"),),
    proxies=(("HTTP_PROXY", "p"),),
    platform="linux/arm64",
)
OPS = {
    "scratch": Scratch(),
    "base": Base(diff_ids=("sha256:1", "sha256:2"), manifest="m", reference="r"),
    "local": Local(name="other"),
    "http": Http(digest="sha256:3", name="f", mtime=5, mode=0o640, url="https://host/f"),
    "git": Git(
        commit="c", subdir="s", keep_git_dir=True, submodules=False, tag="refs/tags/t", url="https://host/x", ref="r"
    ),
    "copy": COPY,
    "mkdir": Mkdir(path="/w", user="u"),
    "run": RUN,
}
MOUNTS = {
    "bind": "type=bind,from=base,source=s,target=/t,rw",
    "bind-of-context": "target=t",
    "bind-with-id": "type=bind,id=i,env=E,target=/t",
    "cache": "type=cache,target=t",
    "cache-with-all": "type=cache,id=i,from=base,source=/s,target=/t,sharing=locked,mode=0700,uid=1,gid=2,ro",
    "cache-private": "type=cache,target=/t,sharing=private,env=E",
    "tmpfs": "type=tmpfs,target=/t,size=64m",
    "tmpfs-with-from": "type=tmpfs,target=/t,from=base,source=s,id=i,ro",
    "secret": "type=secret,id=s",
    "secret-with-all": "type=secret,id=s,target=t,env=E,required,mode=0440,uid=1,gid=2,ro",
    "secret-by-source": "type=secret,source=s",
    "ssh": "type=ssh",
    "ssh-with-all": "type=ssh,id=s,target=t,required,mode=0600,uid=1,gid=2,env=E,rw",
    "ssh-with-from": "type=ssh,from=base",
}
PLAN = Plan(
    vertices=(
        Vertex(op=Scratch()),
        Vertex(op=Mkdir(path="/w"), inputs=(0,), name="n", platform="linux/amd64", lines=(2, 3), stages=("a", "b")),
    ),
    config="{}",
    created="2024-01-02T03:04:05Z",
    pins=(("a", "b"),),
    warnings=(("w", 1),),
    refusal="no",
)
CANONICAL = {
    "scratch": b'{"$":"Scratch"}',
    "base": b'{"$":"Base","diff_ids":["sha256:1","sha256:2"]}',
    "local": b'{"$":"Local","name":"other"}',
    "http": b'{"$":"Http","digest":"sha256:3","mode":416,"mtime":5,"name":"f"}',
    "git": b'{"$":"Git","commit":"c","keep_git_dir":true,"subdir":"s","submodules":false,"tag":"refs/tags/t"}',
    "copy": b'{"$":"Copy","chmod":"u=rw","chown":"0:7","destination":"/to/","exclude":["*.md","!x"],"link":true,"parents":true,"sources":[{"$":"Pick","input":1,"path":"a/*","unpack":true},{"$":"Inline","content":"text\\n","name":"name"}]}',
    "mkdir": b'{"$":"Mkdir","path":"/w","user":"u"}',
    "run": b'{"$":"Run","args":["sh","-c","true"],"cwd":"/w","env":[["A","1"],["B","\\u00e9\\udcff"]],"hostname":"h","hosts":[["db","10.0.0.1"]],"mounts":[],"network":"none","scripts":[{"$":"Script","content":"#!/bin/sh\\n","path":"/dev/pipes/EOF"}],"security":"insecure","user":"u:g"}',
}
KEYS = {
    "scratch": "sha256:c9336104fd4b546cdd3e565c06b0aae4f185ec8ea35c19b9f24985f722d41478",
    "base": "sha256:e05f7093e5478d4791b7251ef5a7ef80ef7367b8eb72c6c29e1eae246b7df2a9",
    "http": "sha256:02cab923cb602908037de210c8b73d74e45db514880a7faf3c23717e630251d1",
    "git": "sha256:3a4fe26309f09722211f7651939397606b3059c59ca86d449765d62e27aa7338",
    "copy": "sha256:5d7d104b5c6323d7e957ee56c0a49896f721645008fcfc4ee66daf18617084b7",
    "mkdir": "sha256:0987ef7a2ea77c95115094fc75ae63fa410de993f9e8113aaadab26e3baaa146",
    "run": "sha256:ffd5cab37db879a573b2b94b43bd77f3c551d0e39e8dc9559de700cfce844678",
}
CANONICAL_MOUNTS = {
    "bind": b'[{"$":"RunMount","env":"","gid":0,"id":"","input":1,"kind":"bind","mode":null,"read_only":false,"required":false,"sharing":"shared","size":0,"source":"s","target":"/t","uid":0}]',
    "bind-of-context": b'[{"$":"RunMount","env":"","gid":0,"id":"","input":1,"kind":"bind","mode":null,"read_only":true,"required":false,"sharing":"shared","size":0,"source":"","target":"/w/t","uid":0}]',
    "bind-with-id": b'[{"$":"RunMount","env":"E","gid":0,"id":"i","input":1,"kind":"bind","mode":null,"read_only":true,"required":false,"sharing":"shared","size":0,"source":"","target":"/t","uid":0}]',
    "cache": b'[{"$":"RunMount","env":"","gid":0,"id":"t","input":-1,"kind":"cache","mode":null,"read_only":false,"required":false,"sharing":"shared","size":0,"source":"","target":"/w/t","uid":0}]',
    "cache-with-all": b'[{"$":"RunMount","env":"","gid":2,"id":"i","input":1,"kind":"cache","mode":448,"read_only":true,"required":false,"sharing":"locked","size":0,"source":"/s","target":"/t","uid":1}]',
    "cache-private": b'[{"$":"RunMount","env":"E","gid":0,"id":"","input":-1,"kind":"cache","mode":null,"read_only":false,"required":false,"sharing":"private","size":0,"source":"","target":"/t","uid":0}]',
    "tmpfs": b'[{"$":"RunMount","env":"","gid":0,"id":"","input":-1,"kind":"tmpfs","mode":null,"read_only":false,"required":false,"sharing":"shared","size":67108864,"source":"","target":"/t","uid":0}]',
    "tmpfs-with-from": b'[{"$":"RunMount","env":"","gid":0,"id":"i","input":1,"kind":"tmpfs","mode":null,"read_only":true,"required":false,"sharing":"shared","size":0,"source":"s","target":"/t","uid":0}]',
    "secret": b'[{"$":"RunMount","env":"","gid":0,"id":"s","input":-1,"kind":"secret","mode":null,"read_only":false,"required":false,"sharing":"shared","size":0,"source":"","target":"","uid":0}]',
    "secret-with-all": b'[{"$":"RunMount","env":"E","gid":2,"id":"s","input":-1,"kind":"secret","mode":288,"read_only":true,"required":true,"sharing":"shared","size":0,"source":"","target":"/w/t","uid":1}]',
    "secret-by-source": b'[{"$":"RunMount","env":"","gid":0,"id":"","input":-1,"kind":"secret","mode":null,"read_only":false,"required":false,"sharing":"shared","size":0,"source":"s","target":"","uid":0}]',
    "ssh": b'[{"$":"RunMount","env":"","gid":0,"id":"","input":-1,"kind":"ssh","mode":null,"read_only":false,"required":false,"sharing":"shared","size":0,"source":"","target":"","uid":0}]',
    "ssh-with-all": b'[{"$":"RunMount","env":"E","gid":2,"id":"s","input":-1,"kind":"ssh","mode":384,"read_only":false,"required":true,"sharing":"shared","size":0,"source":"","target":"/w/t","uid":1}]',
    "ssh-with-from": b'[{"$":"RunMount","env":"","gid":0,"id":"","input":1,"kind":"ssh","mode":null,"read_only":false,"required":false,"sharing":"shared","size":0,"source":"","target":"","uid":0}]',
}
KEYS_OF_MOUNTS = {
    "bind": "sha256:80125d853f601aea2402c10a3ac43775c5513085b913ea5e9d065681f2d64d87",
    "bind-of-context": "sha256:513ebe6ff2ddf78d802b5e091e3c3ad07bfc31565e68c282e6a47f70b3807d3b",
    "bind-with-id": "sha256:098d5581e0463d8ca4066dfc18c8d1d9122b5f1bac06697a309c99930803abdc",
    "cache": "sha256:0d6ea3cd833981d5318b9649b8f56eba9309ec800446d0ee030f22164d5bfa7c",
    "cache-with-all": "sha256:5770ffaccf17307f2ee6ad2dee02cc0abe863da68c4cda5d88e7701e7081ae5d",
    "cache-private": "sha256:1608475e7187da0c0fe8f363baaa0d883c70da3b8b97158b712324f6861cac85",
    "tmpfs": "sha256:cdcd21a8cfc2ff7a271509fc12b6aca055d2874a87bb1112dd0b3e68d60f79ad",
    "tmpfs-with-from": "sha256:64847eda878d7654661b81f62e973c99e9c793f3a4db343f615495a43d13a688",
    "secret": "sha256:83c7642f55c962dab0d8e819dba244338ffc9a73649c1821d70dac49dfcd2ab1",
    "secret-with-all": "sha256:b8a34d57cbc5ad732af45753ad63e15917771a818e5972cb1b0e60110c1a60e7",
    "secret-by-source": "sha256:026e60d9ba2600500db997666da09454eee23353e1bb2a88425543118709b4e8",
    "ssh": "sha256:88fd0649215a0e50e7c7407c11970bc26cca1009081dd1bfc9f1678c781ae1a1",
    "ssh-with-all": "sha256:b6cf60bba9620ca192e8666a601c43e45bd77a5412acbd6a66b9ba8897c80977",
    "ssh-with-from": "sha256:abb81caabc7fd1cecaa67a10a0eef9b5f88b4b92f37cfb7f580022d4b62cc125",
}
PLAN_JSON = '{"$": "Plan", "vertices": [{"$": "Vertex", "op": {"$": "Scratch"}, "inputs": [], "name": "", "platform": "", "lines": [0, 0], "stages": []}, {"$": "Vertex", "op": {"$": "Mkdir", "path": "/w", "user": ""}, "inputs": [0], "name": "n", "platform": "linux/amd64", "lines": [2, 3], "stages": ["a", "b"]}], "config": "{}", "created": "2024-01-02T03:04:05Z", "pins": [["a", "b"]], "warnings": [["w", 1]], "refusal": "no"}'


def run_with(mount):
    return step_of(f"WORKDIR /w\nRUN --mount={mount} true").op


@pytest.mark.parametrize("name", OPS)
def test_bytes_and_key_of_an_op(name):
    op = OPS[name]
    assert codec.canonical(op) == CANONICAL[name]
    if not isinstance(op, Local):
        assert str(key(op, ROOT, (CONTENT,), 7)) == KEYS[name]


@pytest.mark.parametrize("name", MOUNTS)
def test_bytes_and_key_of_a_mount(name):
    op = run_with(MOUNTS[name])
    assert codec.canonical(op.mounts) == CANONICAL_MOUNTS[name]
    assert str(key(op, ROOT, (CONTENT,))) == KEYS_OF_MOUNTS[name]


def test_every_type_of_mount_is_among_these():
    assert {type(mount) for text in MOUNTS.values() for mount in run_with(text).mounts} == {*get_args(RunMount)}


def test_every_field_of_these_ops_has_a_value_of_its_own():
    for op in (*OPS.values(), *COPY.sources, *RUN.scripts):
        for field in fields(op):
            assert field.name == "mounts" or getattr(op, field.name) != field.default, (op, field.name)


def test_every_op_and_its_parts_have_a_tag():
    assert {*get_args(Op), Inline, Pick, Script} <= set(codec._STORED)
    assert {*get_args(Op), Inline, Pick, Script} <= set(codec._KINDS.values())


@frozen
class MakeDirectory:
    """`Mkdir` as it would be after renaming it and its fields."""

    directory: str
    owner: str = ""


def test_a_renamed_class_with_renamed_fields_keeps_its_bytes_and_its_document(monkeypatch):
    document, new = codec.encode(OPS["mkdir"]), MakeDirectory(directory="/w", owner="u")
    monkeypatch.setitem(codec._STORED, MakeDirectory, codec._STORED[Mkdir])
    monkeypatch.setitem(codec._KINDS, "Mkdir", MakeDirectory)
    monkeypatch.setitem(MEANING, MakeDirectory, MEANING[Mkdir])
    assert codec.canonical(new) == CANONICAL["mkdir"]
    assert str(key(new, ROOT, (CONTENT,), 7)) == KEYS["mkdir"]
    assert codec.decode(document) == new


def test_a_key_without_root_content_and_epoch():
    assert str(key(RUN, None, ())) == "sha256:6b5514a19df4753f234c9a7769062b90a7c0aa89550f9aa8149b119b9c63127f"
    assert key(OPS["base"], None, (), 7) == key(OPS["base"], None, ())


def test_keys_of_layers_and_selections():
    pick = COPY.sources[0]
    own = "sha256:fd145e1d9e60df24df043cc51b1e3f61deada26acfd0a5415eefa7c7845c61fb"
    of_copy = "sha256:c98a383930b912f619bec2361bbfbb0a4844e193d6b64a49fbd89dde39750f0b"
    of_run = "sha256:c817e0ab2a59ea9326d64cd4ae1bfa4c75c6c86886ea7e718e655afb85ba1e6e"
    of_listing = "sha256:aeff2f1f48b1a51bf176fc7b785281e7802a4282f24a78f23d8510b2e5086eda"
    assert str(own_key(COPY, (CONTENT,), 7)) == own
    assert str(selection_key(COPY, pick, ROOT)) == of_copy
    assert str(selection_key(RUN, Pick(path="a", input=1), ROOT)) == of_run
    assert str(listing_key(CONTENT)) == of_listing


def test_the_stored_form_of_an_exact_path():
    exact = Exact(path="a/[b]", input=1)
    assert codec.canonical(exact) == b'{"$":"Exact","input":1,"path":"a/[b]","unpack":false}'
    assert codec.decode(codec.encode(exact)) == exact
    assert (
        str(selection_key(RUN, exact, ROOT))
        == "sha256:37eb6a015ef9f7c24976ddd99b634fd88c508389289d1540dacb9ed7006cb987"
    )


def test_the_document_of_a_plan():
    assert json.dumps(codec.encode(PLAN)) == PLAN_JSON
    assert codec.decode(json.loads(PLAN_JSON)) == PLAN


@pytest.mark.parametrize("op", [*OPS.values(), *(run_with(mount) for mount in MOUNTS.values())])
def test_an_op_comes_back_from_its_document(op):
    assert codec.decode(json.loads(json.dumps(codec.encode(op)))) == op

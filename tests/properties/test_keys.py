"""Keys and plans as properties: what is written comes back, what differs has different bytes, order decides nothing."""

import json
from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from pybuild.builder.graph.graph import plan
from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan import codec
from pybuild.builder.plan.keys import key
from pybuild.builder.plan.ops import (
    Base,
    BindMount,
    CacheMount,
    Copy,
    Git,
    Http,
    Inline,
    Local,
    Mkdir,
    Op,
    Pick,
    Run,
    Scratch,
    Script,
    SecretMount,
    SshMount,
    TmpfsMount,
)
from pybuild.builder.plan.plan import BasePin, Plan, Vertex
from pybuild.builder.stages.stages import Stages
from tests.helpers.resolving import BASE, DIFF_ID, stages_of

TEXTS = st.text(max_size=4)
NAMES = st.text(alphabet=st.characters(codec=None, exclude_categories=()), max_size=4)
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), max_size=2).map(tuple)
PICKS = st.builds(Pick, path=NAMES, input=st.integers(1, 3), unpack=st.booleans())
INLINES = st.builds(Inline, name=TEXTS, content=NAMES)
PLACES = {"target": TEXTS, "source": TEXTS, "input": st.integers(-1, 2), "read_only": st.booleans()}
MODES = st.none() | st.integers(0, 0o7777)
MOUNTS = (
    st.builds(BindMount, **PLACES)
    | st.builds(CacheMount, **PLACES, mode=MODES)
    | st.builds(TmpfsMount, **PLACES, size=st.integers(0, 9))
    | st.builds(SecretMount, target=TEXTS, id=TEXTS, mode=MODES, required=st.booleans(), env=TEXTS)
    | st.builds(SshMount, target=TEXTS, id=TEXTS, mode=MODES, required=st.booleans())
)
SCRIPTS = st.builds(Script, path=TEXTS, content=TEXTS)
RUNS = st.builds(
    Run,
    args=st.lists(TEXTS, max_size=3).map(tuple),
    env=PAIRS,
    cwd=TEXTS,
    user=TEXTS,
    mounts=st.lists(MOUNTS, max_size=2).map(tuple),
    scripts=st.lists(SCRIPTS, max_size=1).map(tuple),
    proxies=PAIRS,
)
COPIES = st.builds(
    Copy,
    sources=st.lists(PICKS | INLINES, max_size=3).map(tuple),
    destination=TEXTS,
    chown=TEXTS,
    exclude=st.lists(TEXTS, max_size=2).map(tuple),
)
BASES = st.builds(Base, diff_ids=st.lists(TEXTS, max_size=2).map(tuple), manifest=TEXTS)
OPS = (
    RUNS
    | COPIES
    | BASES
    | st.builds(Mkdir, path=TEXTS, user=TEXTS)
    | st.just(Scratch())
    | st.builds(Local, name=TEXTS)
    | st.builds(Http, digest=TEXTS, name=TEXTS, mtime=st.integers(), url=TEXTS)
    | st.builds(Git, commit=TEXTS, subdir=TEXTS, submodules=st.booleans(), url=TEXTS, ref=TEXTS)
)
PLANS = st.builds(
    Plan,
    vertices=st.lists(
        st.builds(Vertex, op=OPS, inputs=st.lists(st.integers(0, 9), max_size=2).map(tuple), name=TEXTS)
    ).map(tuple),
    config=TEXTS,
    pins=PAIRS,
    warnings=st.lists(st.tuples(TEXTS, st.integers()), max_size=2).map(tuple),
)


def bare(op: Op) -> Op:
    """*op* without what is no part of any key."""
    aside = {field.name: field.default for field in fields(op) if field.metadata.get("aside")}
    return replace(op, **aside)


@given(PLANS)
def test_a_plan_that_is_written_comes_back(document):
    assert codec.decode(json.loads(json.dumps(codec.encode(document)))) == document


@given(OPS, OPS)
def test_two_ops_have_the_same_bytes_exactly_when_they_do_the_same(one, other):
    assert (codec.canonical(one) == codec.canonical(other)) == (bare(one) == bare(other))


@given(COPIES, NAMES)
def test_no_key_depends_on_the_path_of_a_source(op, path):
    root = Digest.of(b"root")
    contents = tuple(Digest.of(str(n).encode()) for n in range(len(op.sources)))
    moved = tuple(replace(item, path=path) if isinstance(item, Pick) else item for item in op.sources)
    assert key(op, root, contents) == key(replace(op, sources=moved), root, contents)


@given(st.permutations(["ENV a=1", "LABEL b=1", "EXPOSE 80", "CMD x", "STOPSIGNAL 9"]))
def test_settings_around_a_copy_never_change_what_is_done(settings):
    text = "FROM base\n{}\nCOPY a /b\n"
    plain = text.format("")
    assert _work(stages_of(text.format("\n".join(settings)))) == _work(stages_of(plain))


@given(st.permutations(["one", "two", "three"]))
def test_the_order_in_which_stages_are_written_never_changes_what_is_done(order):
    stages = "".join(f"FROM base AS {name}\nRUN {name}\n" for name in order)
    copies = "".join(f"COPY --from={name} /x /{name}\n" for name in ("one", "two", "three"))
    assert set(_work(stages_of(f"{stages}FROM scratch\n{copies}"))) == set(_work(stages_of(_SORTED + copies)))


_SORTED = "".join(f"FROM base AS {name}\nRUN {name}\n" for name in ("one", "two", "three")) + "FROM scratch\n"


def _work(stages: Stages) -> list[str]:
    """What each vertex does, with all that it builds on, by digest."""
    made = plan(stages, {BASE: BasePin("sha256:" + "2" * 64, (DIFF_ID,))})
    work: list[str] = []
    for vertex in made.vertices:
        work.append(str(codec.digest(vertex.op, tuple(work[place] for place in vertex.inputs))))
    return work

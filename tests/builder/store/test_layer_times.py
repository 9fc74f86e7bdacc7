import pytest

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.model import chain_ids
from pybuild.builder.store.cache import BuiltLayer, Layers
from pybuild.builder.store.layer_times import LayerTimes

FIRST, SECOND = (str(Digest.of(text)) for text in (b"first", b"second"))


@pytest.fixture
def times(tmp_path):
    (tmp_path / "scratch").mkdir()
    return LayerTimes(tmp_path / "times", tmp_path / "scratch")


def test_a_layer_has_the_nanoseconds_that_it_was_made_with(times):
    assert times.put(FIRST, [5, 0, 999_999_999])
    assert list(times.of(FIRST)) == [5, 0, 999_999_999]
    assert list(times.of(SECOND)) == []


def test_whole_seconds_need_no_file(times, tmp_path):
    assert times.put(FIRST, [0, 0])
    assert not (tmp_path / "times").exists()


@pytest.mark.parametrize("later", [[7], [0], []])
def test_the_first_set_stays_and_who_comes_later_is_told(times, later):
    assert times.put(FIRST, [5])
    assert times.put(FIRST, [5])
    assert not times.put(FIRST, later)
    assert list(times.of(FIRST)) == [5]


def test_nothing_is_left_in_the_scratch_directory(times, tmp_path):
    times.put(FIRST, [5])
    times.put(FIRST, [6])
    assert list((tmp_path / "scratch").iterdir()) == []


def test_snapshots_of_whole_seconds_are_called_by_their_chain_ids(times):
    diff_ids = tuple(Digest.of(text) for text in (b"1", b"2", b"3"))
    assert times.snapshot_names(diff_ids) == chain_ids(diff_ids)


def test_a_snapshot_with_other_fractions_has_another_name_as_has_all_above_it(times, tmp_path):
    plain = times.snapshot_names([FIRST, SECOND, FIRST])
    times.put(SECOND, [5])
    exact = times.snapshot_names([FIRST, SECOND, FIRST])
    assert [a == b for a, b in zip(plain, exact, strict=True)] == [True, False, False]
    other = LayerTimes(tmp_path / "elsewhere", tmp_path / "scratch")
    other.put(SECOND, [6])
    assert other.snapshot_names([FIRST, SECOND])[1] not in {plain[1], exact[1]}


def test_names_that_were_given_before_a_layer_had_a_set_are_forgotten(times):
    before = times.snapshot_names([FIRST, SECOND])
    times.put(FIRST, [5])
    assert not set(times.snapshot_names([FIRST, SECOND])) & set(before)


def test_names_do_not_depend_on_what_was_asked_before(times, tmp_path):
    chains = [[FIRST], [FIRST, SECOND], [SECOND], [SECOND, FIRST], [FIRST], []]
    others = [LayerTimes(tmp_path / "times", tmp_path / "scratch").snapshot_names(chain) for chain in chains]
    assert [times.snapshot_names(chain) for chain in chains] == others


def test_only_the_sets_of_layers_that_are_needed_stay(times):
    times.put(FIRST, [5])
    times.put(SECOND, [6])
    times.keep_only({SECOND})
    assert (list(times.of(FIRST)), list(times.of(SECOND))) == ([], [6])


@pytest.mark.parametrize("name", ["", "../x", "sha256:../x", "sha256"])
def test_what_is_no_diff_id_leads_nowhere(times, name):
    with pytest.raises(ValueError, match="not a diff ID"):
        times.of(name)


def test_layers_are_named_as_their_diff_ids_are(times):
    layers = [BuiltLayer(Digest.of(text), Digest.of(b"blob"), 1, "t") for text in (b"a", b"b", b"c")]
    for chosen in ([0], [0, 1], [0, 1], [0, 1, 2], [1], [], [0, 1, 2], [0, 2]):
        named = Layers(layers[place] for place in chosen)
        fresh = LayerTimes(times._directory, times._scratch)
        assert times.names_of(named) == fresh.snapshot_names(named.diff_ids)


def test_names_of_layers_follow_a_set_that_is_new_and_a_list_that_has_changed(times):
    layers = [BuiltLayer(Digest.of(text), Digest.of(b"blob"), 1, "t") for text in (b"a", b"b")]
    named = Layers(layers)
    before = times.names_of(named)
    times.put(str(layers[0].diff_id), [5])
    after = times.names_of(named)
    assert before[0] != after[0]
    assert before[1] != after[1]
    assert times.names_of(layers) == after
    layers.reverse()
    assert times.names_of(layers) != after

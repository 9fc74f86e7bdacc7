from dataclasses import replace

import pytest

from pybuild.builder.image.assemble import ImageTimes, assemble, timestamp
from pybuild.builder.oci import media
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.model import History, ImageConfig
from pybuild.builder.store.cache import BuiltLayer, Layers

CONFIG = ImageConfig(architecture="amd64", os="linux")
T0, T1, T2, T3 = (f"2024-01-0{day}T00:00:00Z" for day in range(1, 5))
PLANNED = "2030-01-01T00:00:00Z"


def layer(number, created=""):
    return BuiltLayer(
        Digest("sha256", f"{number:064x}"), Digest("sha256", f"{number:064x}"), 1, media.OCI_LAYER_GZIP, created
    )


def step(text, *, empty=False, created=""):
    return History(created_by=text, empty_layer=empty, created=created)


def assembled(blobs, history, layers, epoch=None):
    given = ImageTimes(planned=PLANNED, epoch=epoch)
    return assemble(replace(CONFIG, history=tuple(history)), Layers(layers), blobs, given)


def times(image):
    return [entry.created for entry in image.config.history]


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_500_000_000, "1970-01-01T00:00:01.5Z"),
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456789Z"),
        (1_700_000_000_000_000_010, "2023-11-14T22:13:20.00000001Z"),
    ],
)
def test_a_time_is_written_as_go_writes_it(nanoseconds, text):
    assert timestamp(nanoseconds) == text


def test_layers_and_diff_ids_stand_in_order(blobs):
    image = assembled(blobs, [step("a"), step("b")], [layer(1), layer(2)])
    assert list(image.config.diff_ids) == [layer(1).diff_id, layer(2).diff_id]
    assert [found.digest for found in image.manifest.layers] == [layer(1).digest, layer(2).digest]


def test_a_step_has_the_time_of_its_layer_and_settings_that_of_the_layer_before(blobs):
    env, cmd = step("env", empty=True), step("cmd", empty=True)
    history = [step("base", created=T0), env, step("run"), env, step("copy"), cmd]
    image = assembled(blobs, history, [layer(1), layer(2, T2), layer(3, T3)])
    assert times(image) == [T0, T2, T2, T2, T3, T3]
    assert image.config.created == T3


def test_settings_before_the_first_new_layer_have_its_time_not_the_bases(blobs):
    history = [step("base", created=T0), step("env", empty=True), step("run")]
    assert times(assembled(blobs, history, [layer(1), layer(2, T2)])) == [T0, T2, T2]


def test_settings_alone_have_the_time_of_the_base(blobs):
    image = assembled(blobs, [step("base", created=T0), step("env", empty=True)], [layer(1)])
    assert times(image) == [T0, T0]
    assert image.config.created == T0


def test_an_image_without_any_time_was_made_when_it_was_planned(blobs):
    image = assembled(blobs, [step("env", empty=True)], [])
    assert image.config.created == PLANNED
    assert image.id == assembled(blobs, [step("env", empty=True)], []).id


def test_a_base_with_fewer_entries_than_layers_keeps_entry_and_layer_together(blobs):
    history = [step("known", created=T1), step("run")]
    image = assembled(blobs, history, [layer(1), layer(2), layer(3, T3)])
    assert [entry.empty_layer for entry in image.config.history] == [False] * 3
    assert [entry.created_by for entry in image.config.history][1:] == ["known", "run"]
    assert times(image)[-1] == T3


def test_a_history_that_tells_of_more_layers_than_there_are_belongs_to_none(blobs):
    history = [step(text, created=T0) for text in ("a", "b", "c")]
    image = assembled(blobs, history, [layer(1)])
    assert [(entry.created_by, entry.empty_layer) for entry in image.config.history][-3:] == [
        ("a", True), ("b", True), ("c", True),
    ]  # fmt: skip
    assert sum(not entry.empty_layer for entry in image.config.history) == len(image.config.diff_ids) == 1


def test_an_epoch_is_the_time_of_everything_that_is_new(blobs):
    history = [step("base", created=T0), step("env", empty=True), step("run")]
    image = assembled(blobs, history, [layer(1), layer(2, T2)], epoch=1)
    assert times(image) == [T0, "1970-01-01T00:00:01Z", "1970-01-01T00:00:01Z"]
    assert image.config.created == "1970-01-01T00:00:01Z"


def test_the_same_layers_give_the_same_image(blobs):
    history = [step("run")]
    assert assembled(blobs, history, [layer(1, T1)]).id == assembled(blobs, history, [layer(1, T1)]).id
    assert assembled(blobs, history, [layer(1, T1)]).id != assembled(blobs, history, [layer(1, T2)]).id

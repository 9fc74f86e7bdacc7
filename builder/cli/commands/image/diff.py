"""``pybuild diff``: the differences between two images."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.image.images import short_id
from pybuild.builder.cli.failures import FAILED
from pybuild.builder.cli.flags.completion_types import IMAGE
from pybuild.builder.cli.flags.group import option, takes
from pybuild.builder.cli.flags.new_image import platform_option
from pybuild.builder.cli.tools import say, store
from pybuild.builder.display.sanitize import clean_line
from pybuild.builder.display.units import human_size
from pybuild.builder.edit.compare import LayerSets, Setting, layers, settings
from pybuild.builder.edit.compare_trees import FileChange, PathState, tree_differences
from pybuild.builder.edit.documents import ImageDocuments
from pybuild.builder.image.catalog import find_image
from pybuild.builder.oci.image import Image
from pybuild.builder.platforms import given_platform
from pybuild.builder.progress import silent
from pybuild.builder.store.cache import image_layers
from pybuild.builder.store.store import Store
from pybuild.builder.store.worker_calls import SendEvent, call_in_worker
from pybuild.runtime.values import frozen

_PARTS = ("config", "layers", "files")
_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Differences:
    """The differences in the requested parts; the other parts are None."""

    images: tuple[Image, Image]
    config: list[Setting] | None = None
    layers: LayerSets | None = None
    files: list[FileChange] | None = None

    def __bool__(self) -> bool:
        return bool(self.config or self.files or (self.layers and (self.layers.before or self.layers.after)))


@frozen
class DiffFlags:
    """What is compared, and how differences are shown."""

    only: str | None = option(
        "--only",
        type=click.Choice(_PARTS),
        help="Compare one part only. Files alone are printed as docker diff prints them.",
    )
    times: bool = option("--times", is_flag=True, help="Also list files of which only the time differs.")
    form: str = option(
        "--format", type=click.Choice(["text", "json"]), default="text", help="Format of the output (default: text)."
    )
    exit_code: bool = option("--exit-code", is_flag=True, help="Exit with 1 when there are differences.")


@click.command("diff", cls=Command)
@click.argument("before", metavar="A", type=IMAGE)
@click.argument("after", metavar="[B]", type=IMAGE, required=False)
@takes(DiffFlags, "flags")
@platform_option
@root_option
def command(before: str, after: str | None, *, flags: DiffFlags, platform: str | None) -> int | None:
    """Show how image B differs from image A: config and annotations, layers, and files; or what a container changed.

    A alone is a container: each path that it added (A), changed (C) or deleted (D) is printed, as by docker diff.

    In config and layers, - marks what only A has, + what only B has, and = layers of both. Files are marked A (added),
    C (changed) or D (deleted); a directory counts as changed when something in it changed. Type, mode, owner, size,
    content, symlink targets and extended attributes are compared. With --format=json they are listed for both images.
    """
    if after is None:
        from pybuild.builder.cli.commands.container.access.diff import show_changes

        show_changes(before)
        return None
    wanted = given_platform(platform)
    parts = (flags.only,) if flags.only else _PARTS
    opened = store()
    try:
        with opened.in_use():
            images = find_image(opened, before, wanted), find_image(opened, after, wanted)
            found = _differences(opened, images, parts, digests=flags.form == "json", times=flags.times)
    finally:
        opened.close()
    if flags.form == "json":
        say(json.dumps(_document(found), indent=2))
    else:
        for line in _lines(found, titles=len(parts) > 1):
            say(line)
    return FAILED if flags.exit_code and found else None


def _differences(
    opened: Store, images: tuple[Image, Image], parts: tuple[str, ...], *, digests: bool, times: bool
) -> _Differences:
    documents = [ImageDocuments.read(opened.blobs, image) for image in images]
    return _Differences(
        images=images,
        config=settings(documents[0], documents[1]) if "config" in parts else None,
        layers=layers(*images) if "layers" in parts else None,
        files=call_in_worker(_files, opened, silent, images, digests=digests, times=times)
        if "files" in parts
        else None,
    )


def _files(
    opened: Store, _send_event: SendEvent, images: tuple[Image, Image], *, digests: bool, times: bool
) -> list[FileChange]:
    if images[0].config.diff_ids == images[1].config.diff_ids:
        return []
    before = opened.trees.open(image_layers(images[0]))
    try:
        after = opened.trees.open(image_layers(images[1]))
        try:
            return list(tree_differences(before, after, digests=digests, times=times))
        finally:
            os.close(after)
    finally:
        os.close(before)


def _lines(found: _Differences, *, titles: bool) -> Iterator[str]:
    sections = {
        "Config": _setting_lines(found.config or ()),
        "Layers": _layer_lines(found.layers) if found.layers else iter(()),
        "Files": (f"{change.kind} {clean_line(change.path)}" for change in found.files or ()),
    }
    for title, lines in sections.items():
        shown = list(lines)
        if titles and shown:
            yield f"{title}:"
        yield from shown


def _setting_lines(changes: list[Setting] | tuple[()]) -> Iterator[str]:
    for change in changes:
        for sign, value in (("-", change.before), ("+", change.after)):
            if value is not None:
                text = json.dumps(value, ensure_ascii=False)
                yield clean_line(f"{sign} {change.field}: {text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}")


def _layer_lines(sets: LayerSets) -> Iterator[str]:
    for sign, side in (("=", sets.shared), ("-", sets.before), ("+", sets.after)):
        for layer in side:
            yield f"{sign} {short_id(layer.diff_id)} {human_size(layer.size)}"


def _document(found: _Differences) -> dict[str, Any]:
    names = ("A", "B")
    document: dict[str, Any] = {name: str(image.id) for name, image in zip(names, found.images, strict=True)}
    if found.config is not None:
        document["config"] = [{"field": item.field, "A": item.before, "B": item.after} for item in found.config]
    if found.layers is not None:
        sets = {"shared": found.layers.shared, "A": found.layers.before, "B": found.layers.after}
        document["layers"] = {name: [asdict(layer) for layer in side] for name, side in sets.items()}
    if found.files is not None:
        document["files"] = [
            {"kind": item.kind, "path": item.path, "A": _status(item.before), "B": _status(item.after)}
            for item in found.files
        ]
    return document


def _status(node: PathState | None) -> dict[str, Any] | None:
    """Return the status of a file as JSON, without members that do not apply to its type."""
    if node is None:
        return None
    optional = {
        **({"size": node.size, "digest": node.digest} if node.digest else {}),
        **({"link": node.link} if node.link else {}),
        **({"device": node.device} if node.device else {}),
        **({"xattrs": {name: value.hex() for name, value in node.xattrs}} if node.xattrs else {}),
    }
    owner = {"mode": f"{node.mode:04o}", "uid": node.uid, "gid": node.gid, "mtime": node.mtime}
    return {"type": node.type, **owner, **optional}

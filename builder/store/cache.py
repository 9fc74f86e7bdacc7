"""The cache: from cache keys to layers, and from definitions of selections to the digests of their content.

A *record* says which layers a vertex has, from the bottom of the image to its own. Records name blobs; one whose blobs
are gone is a miss. A miss is None, never an error.
"""

import json
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.model import Descriptor, chain_ids
from pybuild.builder.store.database import Database
from pybuild.builder.store.locks import computed_once
from pybuild.runtime.values import positional

if TYPE_CHECKING:
    from pybuild.builder.oci.image import Image
    from pybuild.builder.store.layer_lists import LayerLists, Row


@positional
class BuiltLayer:
    """A layer in a record; *created* is RFC 3339, "" for a layer of a base image.

    *made* is the real time when SOURCE_DATE_EPOCH sets *created*; "" when it is the same.
    """

    diff_id: Digest
    digest: Digest
    size: int
    media_type: str
    created: str = ""
    made: str = ""

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of the layer's blob."""
        return Descriptor(media_type=self.media_type, digest=self.digest, size=self.size)


class Layers(tuple[BuiltLayer, ...]):
    """The layers of a rootfs, the lowest first."""

    __slots__ = ()

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """The digests of the uncompressed layers."""
        return tuple(layer.diff_id for layer in self)

    @property
    def chain_ids(self) -> tuple[str, ...]:
        """The name of the tree after each layer (image-spec, config.md, "Layer ChainID")."""
        return chain_ids(self.diff_ids)


def image_layers(image: "Image") -> Layers:
    """Return the layers of an image in the form of records."""
    return Layers(
        BuiltLayer(diff_id, layer.digest, layer.size, layer.media_type)
        for diff_id, layer in zip(image.config.diff_ids, image.manifest.layers, strict=True)
    )


_SAME_USE = 60  # seconds; a build soon after another one then writes nothing and does not wait for the disk
_FORGOTTEN_AT_ONCE = 16
# Records of long Dockerfiles are large: all those of a store would take gigabytes of memory.
_READ_AT_ONCE = 64


class ImportedCaches(Protocol):
    """Imported caches, consulted on a miss. A miss is None, and so is a failure."""

    def record(self, key: Digest) -> Layers | None:
        """Return the layers under *key*; the blobs of those that were made by steps are in this store."""
        ...

    def selection(self, key: Digest) -> Digest | None:
        """Return the content digest of a selection."""
        ...

    def fill_mount(self, name: str, directory: Path) -> bool:
        """Create *directory*, which does not exist, with the content of a cache mount; return whether there was one."""
        ...


class Cache:
    """Records, selections and plans in the store's database."""

    def __init__(self, database: Database, imported: ImportedCaches | None = None) -> None:
        self._database = database
        self._imported = imported

    @property
    def imported(self) -> ImportedCaches | None:
        """The caches of ``--cache-from`` in a build that has any (`builder.caches.imported`)."""
        return self._imported

    def record(self, key: Digest) -> Layers | None:
        """Return the record under *key*. The caller checks whether its blobs still exist."""
        row = self._database.one("SELECT layers FROM records WHERE key = ?", (str(key),))
        rows = None if row is None else self._rows(row[0])
        return None if rows is None else Layers(map(_layer, rows))

    def _rows(self, text: object, parts: dict[str, list[list[Any]]] | None = None) -> list[list[Any]] | None:
        """Return the fields of the layers in a row; None when a part of a long list is missing."""
        found: dict[str, Any] | list[list[Any]] = json.loads(str(text))
        return found if isinstance(found, list) else self._lists.joined(found, parts)

    @computed_once
    def _lists(self) -> "LayerLists":
        # Imported here: a build in which nothing changed reads one record, most often a short one.
        from pybuild.builder.store.layer_lists import LayerLists

        return LayerLists(self._database)

    def imported_record(self, key: Digest) -> Layers | None:
        """Return the record of an imported cache under *key*, which is added to this store."""
        layers = None if self.imported is None else self.imported.record(key)
        if layers is not None:
            self.put_record(key, layers)
        return layers

    def put_record(self, key: Digest, layers: Layers) -> None:
        """Record *layers*, whose blobs must be on disk, under *key*."""
        self._lists.put(str(key), layers, _row)

    def touch(self, key: Digest) -> None:
        """Note that the record under *key* was used now, unless that was noted within the last minute."""
        now = time.time()
        # NOT BETWEEN: a time in the future, from before the clock was set back, is corrected.
        statement = "UPDATE records SET used = ? WHERE key = ? AND used NOT BETWEEN ? AND ?"
        self._database.run(statement, (now, str(key), now - _SAME_USE, now))

    def records(self) -> Iterator[tuple[str, Layers, float]]:
        """Yield (key, layers, time of last use) of every record.

        Records of one build have nearly the same layers: those that are equal are one value in memory.
        """
        query = "SELECT key, layers, used FROM records WHERE key > ? ORDER BY key LIMIT ?"
        known: dict[tuple[object, ...], BuiltLayer] = {}
        parts: dict[str, list[list[Any]]] = {}
        last = ""
        while rows := self._database.all(query, (last, _READ_AT_ONCE)):
            for key, text, used in rows:
                if (layers := self._rows(text, parts)) is not None:
                    yield str(key), _shared(layers, known), float(str(used))
            last = str(rows[-1][0])

    def forget(self, keys: Iterator[str] | list[str]) -> None:
        """Drop the records under *keys*."""
        # In batches: one transaction each would sync the disk each time, one for all would need a large log.
        waiting = iter(keys)
        while some := [(key,) for key in islice(waiting, _FORGOTTEN_AT_ONCE)]:
            self._database.run_all("DELETE FROM records WHERE key = ?", some)
        self._lists.drop_unused()

    def selection(self, key: Digest) -> Digest | None:
        """Return the content digest that is recorded for the definition of a selection."""
        row = self._database.one("SELECT content FROM selections WHERE key = ?", (str(key),))
        if row is not None:
            return Digest.parse(str(row[0]))
        found = None if self.imported is None else self.imported.selection(key)
        if found is not None:
            self.put_selection(key, found)
        return found

    def put_selection(self, key: Digest, content: Digest) -> None:
        """Remember the content digest of a selection."""
        self._database.run("REPLACE INTO selections VALUES (?, ?)", (str(key), str(content)))

    def plan(self, key: Digest) -> str | None:
        """Return the plan document kept under *key*."""
        row = self._database.one("SELECT document FROM plans WHERE key = ?", (str(key),))
        return None if row is None else str(row[0])

    def put_plan(self, key: Digest, document: str) -> None:
        """Keep a plan document."""
        self._database.run("REPLACE INTO plans VALUES (?, ?, ?)", (str(key), document, time.time()))

    def download(self, url: str) -> str | None:
        """Return the document about the file that *url* had."""
        row = self._database.one("SELECT document FROM downloads WHERE url = ?", (url,))
        return None if row is None else str(row[0])

    def put_download(self, url: str, document: str) -> None:
        """Keep the document about the file that *url* has."""
        self._database.run("REPLACE INTO downloads VALUES (?, ?)", (url, document))

    def forget_all(self) -> None:
        """Remove everything that can be computed again, including records. The caller has exclusive access."""
        self._database.clear()


def _row(layer: BuiltLayer) -> "Row":
    return str(layer.diff_id), str(layer.digest), layer.size, layer.media_type, layer.created, layer.made


def _shared(rows: Sequence[Sequence[Any]], known: dict[tuple[object, ...], BuiltLayer]) -> Layers:
    """Return the layers of *rows*; those in *known* are taken from there, and others are added."""
    return Layers(known.get(row) or known.setdefault(row, _layer(row)) for row in map(tuple, rows))


def _layer(row: Sequence[Any]) -> BuiltLayer:
    diff_id, blob, *rest = row
    return BuiltLayer(Digest.parse(diff_id), Digest.parse(blob), *rest)

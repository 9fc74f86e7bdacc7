"""The differences to Docker that are meant: tests/interop/differences.toml.

Each entry names a case (``*`` for all), a kind (tree, config, history) and a place (path, field or
instruction; shell patterns), and gives the reason. Of kind ``behaviour`` is what no comparison of images shows. An
entry for one case that no longer shows is a mistake, as is a difference that no entry names.
"""

import tomllib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

LIST = Path(__file__).parents[1] / "interop" / "differences.toml"


def without(case: str, found: Iterable[tuple[str, str, str]]) -> list[str]:
    """What remains of *found* (kind, place, text) for the case, as lines; with what is listed but was not found."""
    entries = [entry for entry in tomllib.loads(LIST.read_text()).get("difference", ()) if entry["case"] in {"*", case}]
    seen = set()
    lines = []
    for kind, place, text in found:
        matching = [at for at, entry in enumerate(entries) if _matches(entry, kind, place)]
        seen.update(matching)
        if not matching:
            lines.append(f"{kind} {place}: {text}")
    stale = [entry for at, entry in enumerate(entries) if at not in seen and entry["case"] == case]
    return lines + [f"listed but not found: {entry['kind']} {entry['place']}" for entry in stale]


def _matches(entry: dict[str, str], kind: str, place: str) -> bool:
    assert entry["reason"]
    return entry["kind"] == kind and fnmatchcase(place, entry["place"])

"""Locales of other encodings, compiled for one test: nothing of the host changes."""

import subprocess
from pathlib import Path

LATIN, JAPANESE = "de_DE.ISO-8859-1", "ja_JP.eucJP"
_SOURCES = {LATIN: ("de_DE", "ISO-8859-1"), JAPANESE: ("ja_JP", "EUC-JP")}


def variables_for(name: str, directory: Path) -> tuple[tuple[str, str], ...]:
    """Compile the locale called *name* in *directory* when it is one of ours; return what selects it."""
    if name not in _SOURCES:
        return (("LC_ALL", name),)
    directory.mkdir(exist_ok=True)
    source, charmap = _SOURCES[name]
    subprocess.run(["localedef", "-i", source, "-f", charmap, str(directory / name)], check=True, capture_output=True)
    return (("LC_ALL", name), ("LOCPATH", str(directory)))

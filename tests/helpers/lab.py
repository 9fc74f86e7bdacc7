"""One store for many cases of testdata/builds, each built once however many tests ask."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers import bases, cases, trees
from tests.helpers.program import Built, Program

TARS = {"small": bases.small, "bookworm": bases.bookworm}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltCase:
    """A case after its first build by pybuild. *image* is None when the build failed."""

    case: cases.Case
    directory: Path
    dockerfile: Path
    first: Built
    image: trees.SavedImage | None
    archive: Path

    @property
    def context(self) -> Path:
        return self.directory / "context"


@dataclass(slots=True, kw_only=True)
class Lab:
    """Cases and bases on one store, in one directory."""

    directory: Path
    _built: dict[str, BuiltCase] = field(default_factory=dict)
    _brought: set[str] = field(default_factory=set)
    _trees: dict[str, trees.Tree] = field(default_factory=lambda: {"scratch": {}})

    @property
    def program(self) -> Program:
        return Program(store=self.directory / "store")

    def case(self, name: str) -> BuiltCase:
        """The case called *name*, built if it is not yet, after the cases it builds on."""
        if name not in self._built:
            self._built[name] = self._build(cases.load(name))
        return self._built[name]

    def build_again(self, built: BuiltCase) -> Built:
        """Build a case as it was built the first time, with whatever its context holds now."""
        return self._run(built.case, built.directory, built.dockerfile)

    def base_tree(self, case: cases.Case) -> trees.Tree:
        """The tree that *case* starts from."""
        if case.base not in self._trees:
            self._trees[case.base] = trees.read_tar(TARS[case.base]())
        return self._trees[case.base]

    def _build(self, case: cases.Case) -> BuiltCase:
        for base in case.bases:
            self.case(base)
        for base in {"small", case.base} & TARS.keys():
            self._bring(base)
        directory = self.directory / "cases" / case.name
        directory.parent.mkdir(parents=True, exist_ok=True)
        dockerfile = case.copy_to(directory)
        first = self._run(case, directory, dockerfile)
        archive = self.directory / f"{case.name}.tar"
        image = None
        if first.exit_code == 0:
            image = trees.read_archive(self.program.save(case.name, archive))
        return BuiltCase(
            case=case, directory=directory, dockerfile=dockerfile, first=first, image=image, archive=archive
        )

    def _run(self, case: cases.Case, directory: Path, dockerfile: Path) -> Built:
        options = ("-f", os.fspath(dockerfile), *case.options_in(directory))
        return self.program.build(directory / "context", *options, tag=case.name, check=False)

    def _bring(self, base: str) -> None:
        if base not in self._brought:
            self.program.import_tar(TARS[base](), base)
            self._brought.add(base)

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.directory)

# make demo    what pybuild does, shown on a small image of this machine's own programs
# make test    the quick tests, then builds of the language's cases, with the Debian packages that they need
# make test-all  all tests; CI leaves out those marked release
# make release  what is checked before a release: all tests, in a bare Debian 12, on the newest Python, all mutants
# make check   format, lint, types, imports and the fast tests; what to run before a commit
# make mutants  takes out one defence after another and expects a test to fail; choices: make mutants MUTANTS="--help"
# make torture  kills, a crowd of builders, full disks and losses of power, with numbers; make torture TORTURE="--help" for choices
# make fuzz    everything that reads what a user wrote, each reader for FUZZ seconds
# make bench   how builds, saves and loads compare, beside Docker, Buildah and skopeo; make bench BENCH="--help" for choices

VENV = .venv
BIN = $(VENV)/bin
JOBS = 2
BENCH =
MUTANTS =
TORTURE =
FUZZ = 30
RUN_TESTS = $(BIN)/pytest --numprocesses $(JOBS)

.PHONY: demo test test-all release check lint bench mutants torture fuzz clean
.NOTPARALLEL:

demo: $(VENV)/runs
	@sh testdata/hello/demo.sh $(BIN)/pybuild

test: $(VENV)/tests
	@sh tests/setup/debian.sh
	@echo "1 of 2: the quick tests"
	$(RUN_TESTS) -m "not e2e and not interop and not thorough" $(PYTEST)
	@echo "2 of 2: whole builds; make test-all has the rest of them, and comparisons with other programs"
	$(RUN_TESTS) -k "not second_run" $(PYTEST) tests/e2e/test_builds.py tests/e2e/test_documents.py

test-all: $(VENV)/tests
	@sh tests/setup/debian.sh
	$(RUN_TESTS) --dist loadgroup --no-loadscope-reorder --durations 20 $(PYTEST)

release: $(VENV)/tests
	sh tests/setup/debian.sh qemu-system-x86
	$(MAKE) test-all
	sh tests/setup/chroot.sh bookworm make test
	sh tests/setup/chroot.sh forky sh -c 'sh tests/setup/debian.sh && make check'
	$(MAKE) mutants

check: lint
	$(RUN_TESTS) -q -m "not e2e and not interop and not thorough" $(PYTEST)

lint: $(VENV)/tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/tests
	@sh tests/setup/debian.sh
	@$(BIN)/python -m tests.benchmarks $(BENCH)

mutants: $(VENV)/tests
	@sh tests/setup/debian.sh
	@$(BIN)/python -m tests.mutants $(MUTANTS)

torture: $(VENV)/tests
	@sh tests/setup/debian.sh
	@$(BIN)/python -m tests.torture $(TORTURE)

fuzz: $(VENV)/tests
	$(BIN)/pip install --quiet atheris
	for reader in parser words ignorefile mounts reference patterns cachedocument; do \
	    $(BIN)/python -m tests.fuzz $$reader -max_total_time=$(FUZZ) -verbosity=0 || exit 1; \
	done

$(VENV)/runs: pyproject.toml tests/setup/venv.sh
	@sh tests/setup/venv.sh $(VENV) .
	@touch $@

$(VENV)/tests: pyproject.toml tests/setup/venv.sh
	@sh tests/setup/venv.sh $(VENV) '.[dev]'
	@touch $(VENV)/runs $@

clean:
	rm -rf $(VENV) build .src/*.egg-info .mypy_cache .ruff_cache .import_linter_cache

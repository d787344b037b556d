# make demo   a Debian tree prepared, published, served, a PXE boot in QEMU; installs what it needs (as root)
# make test   unit, CLI, init, laboratory, package and boot tests, also with the oldest dependencies and Debian 13's
# make test-all  the same, the boots that take minutes, and those of the archive's newest suite
# make lint   ruff, mypy --strict, shellcheck
# make fuzz FOR=60  every reader is given damaged and hostile input, for so many seconds each
# make bench  the peers and us side by side, figures and plots into docs/benchmarks.md (as root; an hour)
# As another user than root: make lint, make test-quick (packages must be there already).

# init's programs name their libraries, which are checked with them (-a).
INIT_PROGRAMS = $(notdir $(filter-out init/lib,$(wildcard init/*)))
SHELL_FILES = tools/setup tools/test tools/demo qemu/smoke bench/bare-init .ci/run packaging/build-deb packaging/arch/PKGBUILD \
	$(wildcard packaging/debian/mkpxeinit.post*) packaging/debian/tests/boot packaging/debian/tests/build \
	packaging/rpm/rpm-trigger $(shell grep -rl '^.!/bin/sh' packaging/hooks)

# Python without `.py`, which ruff does not find by itself; mypy has it in pyproject.toml.
PYTHON_TOOLS = tools/publisher

# Seconds for each reader that `make fuzz` tries: FOR=600, say.
FOR = 60

# Rounds of `make bench`, which of its parts (PARTS=build, say), and which suites (SUITES=bookworm).
ROUNDS = 5
PARTS =
SUITES =
# What else there is to say of the machine, other work on it for example.
REMARK =

.PHONY: demo test test-quick test-boot test-all bench fuzz lint format setup clean

demo: setup
	@tools/demo

test: setup
	@tools/setup oldest
	@tools/test quick oldest packages boot

test-all: setup
	@tools/setup oldest
	@tools/test quick oldest oldest-trees oldest-fuzz packages boot newest matrix

test-quick: setup
	@tools/test quick

test-boot: setup
	@tools/test boot

fuzz: setup
	MKPXEINIT_FUZZ_SECONDS=$(FOR) .venv/bin/pytest -n auto --dist worksteal tests/fuzz

bench: setup
	.venv/bin/python -m bench --rounds $(ROUNDS) --remark "$(REMARK)" --suites "$(SUITES)" $(PARTS)

lint: setup
	.venv/bin/ruff check . $(PYTHON_TOOLS)
	.venv/bin/ruff format --check . $(PYTHON_TOOLS)
	.venv/bin/mypy
	cd init && LC_ALL=C.UTF-8 shellcheck -a $(INIT_PROGRAMS)
	shellcheck $(SHELL_FILES)

format: setup
	.venv/bin/ruff check --fix . $(PYTHON_TOOLS)
	.venv/bin/ruff format . $(PYTHON_TOOLS)

setup:
	@tools/setup packages venv

clean:
	rm -rf .venv .venv-oldest build dist results .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# `make demo` and `make test` do all set-up themselves.
.DEFAULT_GOAL := help
.PHONY: help prepare install demo test check clean

PYTHON ?= python3
UV_VERSION := 0.8
BIN := .venv/bin
TOOLS_PATH := $(PATH):/usr/sbin:/sbin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# uv trusts what this machine trusts (a company's own authority, say).
export UV_SYSTEM_CERTS := 1
unexport VIRTUAL_ENV

help:
	@echo 'make demo     set up, then run the exfiltration task with the offline organisms'
	@echo 'make test     set up, then run every test that this machine can run'
	@echo 'make check    lint and types'
	@echo 'make prepare  system packages only (bubblewrap, iproute2, nftables, ...)'

# What the namespace sandbox needs from the system, what settings ask agents to use in it, and what
# the tests let them use besides.
PROGRAMS := bwrap:bubblewrap ip:iproute2 nft:nftables curl:curl ping:iputils-ping git:git
test: PROGRAMS += openssl:openssl rsync:rsync ssh:openssh-client chromium:chromium

# Installs them, and Python's venv module, where they are missing.
prepare:
	@if [ "$$(uname)" != Linux ]; then exit 0; fi; \
	want=""; PATH="$(TOOLS_PATH)"; \
	for pair in $(PROGRAMS); do \
	  command -v "$${pair%%:*}" >/dev/null || want="$$want $${pair##*:}"; \
	done; \
	[ -x /usr/bin/python3 ] || [ -x /usr/local/bin/python3 ] || want="$$want python3"; \
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || want="$$want python3-venv"; \
	[ -z "$$want" ] && exit 0; \
	if ! command -v apt-get >/dev/null; then \
	  echo "please install with your package manager:$$want"; exit 1; fi; \
	line="apt-get install -y --no-install-recommends$$want"; \
	if [ "$$(id -u)" = 0 ]; then sudo=""; \
	elif sudo -n true 2>/dev/null; then sudo="sudo"; \
	else echo "please type: sudo $$line"; exit 1; fi; \
	echo "installing$$want"; \
	$$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo $$line >/dev/null

.venv/installed: pyproject.toml uv.lock
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=$(UV_VERSION)'
	@$(BIN)/uv sync --frozen --inexact --compile-bytecode --quiet
	@$(BIN)/python -m compileall -q sandbox policies scaffolds tasks
	@touch $@

install: prepare .venv/installed

demo: install
	@if [ "$$(uname)" = Linux ]; then \
	  inspect eval tasks/exfil.py -T sandbox=namespace; \
	else \
	  sallyport images build && inspect eval tasks/exfil.py -T sandbox=docker; \
	fi

test: install
	@pytest -n auto

check: install
	@ruff format --check .
	@ruff check .
	@mypy
	@mypy --strict tests

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache

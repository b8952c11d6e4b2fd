# What can be done with a fresh clone. Needs Debian's python3 (3.11 or newer), python3-venv, make and git; the rest is
# installed into .venv, and what the tests need beyond it comes from apt.
#
#   make run      the edge on this machine with a demo number; SIP=host:port HTTP=host:port ARGS=… to change it
#   make unit     unit and story tests, on all cores, under a minute, no servers
#   make test     lint, then every test, with a real Redis, PostgreSQL, Kamailio, SIPp, sipsak and promtool
#   make lint     formatting, ruff, mypy --strict; `make format` puts right what can be put right
#   make fuzz     broken input for all that reads what strangers send; SECONDS=600 TARGET=sdp for longer, or for one
#   make bench    measured beside Kamailio, Sippy and others; writes bench/results.json

# Debian's own Python first: it is built with optimisations that one compiled by hand mostly lacks, a third faster.
PYTHON ?= $(firstword $(shell for python in /usr/bin/python3 python3; do $$python -c \
  'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python; done) python3)
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONDONTWRITEBYTECODE  # what is compiled is kept, or each process that a test starts would compile it again

.NOTPARALLEL:
.PHONY: run unit test lint format fuzz bench clean

LISTEN = ["udp:$(SIP)","tcp:$(SIP)"]
run: $(VENV)/.run
	@$(if $(SIP),export EDGE_SIP__LISTEN='$(LISTEN)';) \
	  $(if $(HTTP),http='$(HTTP)'; export EDGE_API__HOST="$${http%:*}" EDGE_API__PORT="$${http##*:}";) \
	  exec $(BIN)/edge serve --demo $(ARGS)

unit: $(VENV)/.test
	@$(BIN)/pytest -q -p xdist -n auto -m 'not slow and not server' --ignore tests/calls $(ARGS)

test: $(VENV)/.test lint
	@.ci/need redis-server redis-server postgresql initdb sip-tester sipp prometheus promtool sipsak sipsak espeak-ng espeak-ng \
	  nodejs node npm npm kamailio kamailio baresip-core baresip tshark tshark openssl openssl
	@.ci/npm-need smpp@0.5.1
	@$(BIN)/pytest -q --complete -p xdist -n 3 --dist loadfile $(ARGS)  # much of their time is waiting

lint: $(VENV)/.test
	@$(BIN)/ruff format --check --quiet --diff .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary

format: $(VENV)/.test
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

fuzz: $(VENV)/.test
	@$(BIN)/pip install --quiet 'atheris>=2.3'
	@$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60) $(TARGET)

bench: $(VENV)/.test
	@.ci/need kamailio kamailio kamailio-redis-modules ndb_redis.so redis-server redis-server sip-tester sipp kannel bearerbox gcc cc
	@$(BIN)/python -m bench.run $(ARGS)

clean:
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

# A stamp a set of dependencies: made again when pyproject.toml changes.
$(VENV)/.run: EXTRAS := embedded
$(VENV)/.test: EXTRAS := test
$(VENV)/.run $(VENV)/.test: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo 'edge needs Python 3.11 or newer: $(PYTHON) is missing or older. Name another: make $(MAKECMDGOALS) PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo 'edge needs the venv module of $(PYTHON): apt install python3-venv' >&2; exit 1; }
	@test -x $(BIN)/pip || { echo 'making $(VENV) …'; $(PYTHON) -m venv $(VENV); }
	@echo 'installing into $(VENV) (once) …'
	@$(BIN)/python -m pip install --quiet --editable '.[$(EXTRAS)]'
	@touch $@

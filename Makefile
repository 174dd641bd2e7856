# make help
.DEFAULT_GOAL := help
.PHONY: help provision clean-host test lint sanity unit integration bench docs build clean

PYTHON ?= python3
# provision: a real host, and how to reach it. Without HOST, a disposable one on this machine.
HOST ?=
SSH_USER ?=
SSH_KEY ?=
DOMAIN ?=
# More arguments for toolkit provision, or the scenarios to run: make integration SCENARIO="services packages"
ARGS ?=
SCENARIO ?=
# Disposable hosts need root, who should leave no files in the checkout.
SUDO := $(if $(filter-out 0,$(shell id -u)),$(and $(shell command -v sudo),sudo env PYTHONDONTWRITEBYTECODE=1))

help: ## What there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  make provision HOST=web01.example.com SSH_USER=admin SSH_KEY=~/.ssh/id_ed25519 DOMAIN=www.example.com'

provision: .ready ## A web server, on a disposable host or on HOST
	@$(if $(HOST),,$(SUDO)) .venv/bin/toolkit provision $(HOST) $(if $(SSH_USER),--ssh-user $(SSH_USER)) $(if $(SSH_KEY),--ssh-key $(SSH_KEY)) \
		$(if $(DOMAIN),--domain $(DOMAIN)) $(if $(HOST),,--install-missing) $(ARGS)

clean-host: .ready ## Remove the disposable hosts
	@$(SUDO) .venv/bin/toolkit host down --all

test: ## All that CI checks
	@tools/debian.sh
	@$(PYTHON) tools/check.py

lint: ## Of these, the tools that read files
sanity: ## Of these, ansible-test sanity
unit: ## Of these, the unit tests
lint sanity unit:
	@$(PYTHON) tools/check.py $@

integration: ## Of these, the tests on disposable hosts, or only SCENARIO
	@$(if $(SCENARIO),tools/molecule.sh main $(SCENARIO),$(PYTHON) tools/check.py $@)

bench: .ready ## What it costs, against others (docs/benchmarks.md); ARGS=audit, ARGS=provision or ARGS=permissions for one
	@$(SUDO) .venv/bin/python tests/benchmarks/run.py $(ARGS)

docs: .ready ## The reference of all modules, as reStructuredText in .build/docs
	@$(PYTHON) tools/environments.py lint
	@mkdir -p .build/docs && chmod 755 .build/docs
	@PATH="$(CURDIR)/.build/venvs/lint/bin:$$PATH" ANSIBLE_COLLECTIONS_PATH=.build antsibull-docs collection --use-current --squash-hierarchy \
		--dest-dir .build/docs scripts.toolkit

build: ## The wheel and the Galaxy tarball, in dist
	@tools/build.sh

clean: clean-host ## Remove what make made
	@rm -rf .build .venv dist

# The virtual environment and the staged collection; both cost nothing when nothing changed.
.PHONY: .ready
.ready:
	@$(PYTHON) tools/environments.py main
	@$(PYTHON) tools/stage.py >/dev/null

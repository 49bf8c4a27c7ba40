# Two commands for a new machine: `make run` and `make test`. The rest is for who works on nodewhy or installs it.

CARGO  ?= cargo
PREFIX ?= /usr
DESTDIR ?=
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
DIST    := target/dist/nodewhy-$(VERSION)-$(shell uname -m)-linux

.DEFAULT_GOAL := help
.PHONY: help run stop test check fmt clippy deny docs-fresh links scripts units manifests docs bench release install dist image

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build, start collector and agent on this machine, print its diagnosis
	@scripts/run

stop: ## end what `make run` started (its state stays in target/run)
	@scripts/stop

test: ## install what is missing and run all tests
	@scripts/test

check: fmt clippy deny docs-fresh links scripts units manifests ## all that CI asks beside the tests

fmt:
	$(CARGO) fmt --all --check

clippy:
	@scripts/install-packages build
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

# The advisory database is a git repository and not to be had where only package registries can be reached, so CI does without
# `advisories`; with a network at hand, `cargo deny check` does them all.
deny:
	@scripts/install-cargo-deny
	$(CARGO) deny --locked check --hide-inclusion-graph bans licenses sources

docs-fresh:
	$(CARGO) run --locked --quiet -p nodewhy-causes --bin nodewhy-docs -- --check

links:
	@scripts/install-packages check
	@/usr/bin/python3 scripts/links.py

scripts:
	@scripts/install-packages check
	shellcheck --external-sources $(filter-out %.py,$(wildcard scripts/*)) tests/make-base.sh .ci/run

units:
	@scripts/check-units

manifests:
	@scripts/check-manifests

docs: ## write the generated pages (docs/causes/, docs/facts.md) anew
	$(CARGO) run --locked --quiet -p nodewhy-causes --bin nodewhy-docs

bench: ## measure the agent; docs/benchmarks.md explains the numbers
	@scripts/bench

release: ## the three programs, as shipped
	@scripts/install-packages build
	$(CARGO) build --locked --release -p nodewhy-agent -p nodewhy-collector -p kubectl-nodewhy

install: ## put programs and units under DESTDIR and PREFIX (after `make release`)
	@DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" scripts/install-files

dist: release ## a tarball to unpack at / of every node
	@rm -rf "$(DIST)" && DESTDIR="$(DIST)" PREFIX=/usr scripts/install-files
	tar -C "$(DIST)" --owner=root:0 --group=root:0 --sort=name -czf "$(DIST).tar.gz" .
	@echo "$(DIST).tar.gz"

image: ## the container image (needs docker or podman)
	docker build --tag nodewhy:$(VERSION) .

# What can be done with this repository; `make` alone lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test check licences audit bench bench-images golden chaos quality quality-images test-compose clean

# rustup's own folder, for a shell that was opened before deploy/setup installed it.
export PATH := $(PATH):$(HOME)/.cargo/bin

CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := cargo deny --workspace --all-features
# The licence, ban and source checks need no network; only advisories do.
DENY_OFFLINE := licenses bans sources

help: ## list the targets
	@echo 'make TARGET, where TARGET is one of'
	@sed -n 's/^\([a-z-]*\):.* ## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  %-14s %s\n", $$1, $$2 }'

setup: ## check what the machine needs, install what is missing where that is possible
	@deploy/setup

demo: setup ## build, start Kafka, stream simulated payments through, train and score them, report (about 3 minutes after building)
	cargo build --release --locked --workspace
	$${CARGO_TARGET_DIR:-target}/release/riskstream demo

test: setup ## everything that must hold: format, lints, documentation, all tests (with a real Kafka), licences of dependencies
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --release --locked --workspace --no-deps
	cargo build --release --locked --workspace
	cargo test --release --locked --workspace
	@$(MAKE) --no-print-directory licences

check: ## the quick part of `test`: format and lints
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings

# cargo-deny is built once a machine (2 to 4 minutes on two cores); where it cannot be had, that is said and no failure.
licences: ## hold the dependencies against deny.toml: licences, banned crates, sources (part of `test`)
	@command -v cargo-deny >/dev/null \
	    || cargo install --locked --version $(CARGO_DENY_VERSION) cargo-deny \
	    || echo 'NOT CHECKED: the licences of dependencies; cargo-deny is missing and could not be installed' >&2
	@! command -v cargo-deny >/dev/null || $(CARGO_DENY) check --hide-inclusion-graph $(DENY_OFFLINE)

audit: licences ## hold the dependencies against the advisory database of RustSec (needs github.com)
	$(CARGO_DENY) check advisories

bench: setup ## measure throughput and latency on this machine beside a chain of bare clients (bench/)
	cargo build --release --locked --workspace
	$${CARGO_TARGET_DIR:-target}/release/bench

bench-images: setup ## measure document images: from raw topic to score, and networks beside PyTorch (bench/)
	cargo build --release --locked --workspace --bins --example network_speed
	$${CARGO_TARGET_DIR:-target}/release/bench --images --binary $${CARGO_TARGET_DIR:-target}/release/riskstream
	bench/networks

golden: setup ## stream the card pack in DATA=FOLDER through Kafka and compare every published window feature
	@test -n '$(DATA)' || { echo 'usage: make golden DATA=FOLDER (the card stream pack)' >&2; exit 2; }
	cargo build --release --locked --workspace
	GOLDEN_DATA='$(abspath $(DATA))' cargo test --release --locked --workspace --test golden -- --ignored --nocapture

chaos: setup ## kill every worker at random, again and again, and compare with an undisturbed run; DATA=FOLDER takes the card pack
	cargo build --release --locked --workspace
	CHAOS_DATA='$(if $(DATA),$(abspath $(DATA)))' cargo test --release --locked --workspace --test chaos -- --ignored --nocapture

quality: setup ## train on the card stream pack in DATA=FOLDER through the pipeline, and evaluate four test weeks
	@test -n '$(DATA)' || { echo 'usage: make quality DATA=FOLDER (the card stream pack)' >&2; exit 2; }
	cargo build --release --locked --workspace
	bench/quality '$(abspath $(DATA))'

quality-images: setup ## train on the packs of images in DATA=FOLDER through the pipeline, and evaluate what was left out; FOLDS=N of 5 (2)
	@test -n '$(DATA)' || { echo 'usage: make quality-images DATA=FOLDER (the folder of the packs)' >&2; exit 2; }
	cargo build --release --locked --workspace
	bench/image-quality '$(abspath $(DATA))' --folds '$(or $(FOLDS),2)'

test-compose: ## build the image, bring the compose stack up, send 10,000 transactions through, take it down (needs Docker)
	tests/compose

clean: ## remove what was built, and what demo and tests left behind
	cargo clean
	rm -rf target

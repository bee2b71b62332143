# Countersign: every command does its own set-up the first time it runs.
# Stamps of what has been set up live in .setup/ (git-ignored).

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.SILENT:
.NOTPARALLEL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

S          := .setup
TARGET_DIR := $(abspath $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target))
# One process more than there are processors: the tests wait about a third of their time.
PYTEST     := $(S)/venv/bin/python -m pytest -q -p no:cacheprovider -n $(shell expr 1 + $$(nproc)) --dist worksteal
BINS       := -p countersign-client-cli -p countersign-repo -p countersign-ceremony -p countersign-director -p countersign-vehicle-sim -p countersign-demo --bins
# Everything that is run by name, as the tests have built it: another selection of packages would select other
# features of what they share, and build all of that again.
BUILT      := --workspace --lib --bins --tests --examples
VECTORS    := $(TARGET_DIR)/debug/test-vectors
# cargo-nextest runs the same tests with better isolation; it is used where it is installed.
RUN_TESTS  := $(shell command -v cargo-nextest >/dev/null 2>&1 && echo 'nextest run' || echo test)
# Neither doc tests nor, as `--bins` does, the fuzz targets: they end when somebody stops them.
ALL_TESTS  := $(if $(filter test,$(RUN_TESTS)),--tests)
PREFIX     ?= /usr/local
DESTDIR    ?=
# A libcountersign.a that was built already; `make install` builds a release.
LIBRARY    ?=
# Such as --quick, or --only bins; see benches/peers.
PEERS      ?=
# Two targets.
FUZZ_SECONDS ?= 300
BARE_METAL := thumbv7em-none-eabihf

export PATH := $(abspath $(S)/tools/bin):$(PATH)
export PYTHONDONTWRITEBYTECODE := 1
# What incremental builds keep takes as much room as all that is built, and a first build longer.
export CARGO_INCREMENTAL ?= 0
export COUNTERSIGN_BIN_DIR := $(TARGET_DIR)/debug
export COUNTERSIGN_FIRMWARE_DIR := $(abspath $(S)/firmware)

# Features that only tests have; what they test is built once more with them.
OF_THEIR_OWN := countersign-client-cli/crash-points,countersign-vehicle-sim/crash-points,countersign-ceremony/crash-points,countersign-signing/yubihsm-mock

.PHONY: help demo test test-all check bench bench-peers device fuzz install audit setup clean
.PHONY: fmt clippy deny docs conformance no-std features semver unit doctest vectors abi bare-metal interop demo-quick unit-long mutants instructions audit-if-online

help: ## this list
	grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F'\t' '{printf "  make %-11s %s\n", $$1, $$2}'

demo: $(S)/debian.stamp $(S)/firmware.stamp ## sign real firmware in tokens, update a client, refuse every attack
	cargo build --locked --release $(BINS)
	COUNTERSIGN_BIN_DIR=$(TARGET_DIR)/release scripts/demo.sh

test: fmt deny docs conformance semver clippy no-std features unit doctest vectors abi bare-metal interop demo-quick ## everything CI runs, cheap gates first
	echo "make test: passed"

test-all: test unit-long mutants instructions audit-if-online device demo ## test, and the long property tests, what the vectors notice, instruction counts, advisories, the size of the device's command and the release demo
	echo "make test-all: passed"

check: fmt deny clippy docs conformance semver ## the quick gates: format, dependencies, lints, documentation
	echo "make check: passed"

bench: $(S)/toolchain.stamp $(S)/debian.stamp ## criterion benchmarks (release build); what the verifier takes on bare metal
	cargo bench --locked --workspace --benches
	cargo build --locked --quiet $(BUILT)
	scripts/bare-metal.sh bench

bench-peers: $(S)/toolchain.stamp $(S)/debian.stamp $(S)/python.stamp $(S)/peers.stamp ## costs beside python-tuf, tuftool and sigstore-tuf, into docs/performance.md (most of an hour; PEERS=--quick: minutes)
	cargo build --locked --release -p countersign-bench-peers -p countersign-client-cli -p countersign-repo --bins
	cargo build --locked --profile device -p countersign-client-cli --bin client-verifier
	trap 'scripts/postgres.sh stop' EXIT
	export COUNTERSIGN_TEST_POSTGRES=$$(scripts/postgres.sh start)
	CARGO_TARGET_DIR=$(TARGET_DIR) $(S)/venv/bin/python benches/peers/run.py $(PEERS)

device: $(S)/toolchain.stamp ## the command client-verifier as devices want it: small, in target/device
	cargo build --locked --profile device -p countersign-client-cli --bin client-verifier
	scripts/device-size.sh "$(TARGET_DIR)/device/client-verifier"

fuzz: $(S)/toolchain.stamp $(S)/debian.stamp ## ten minutes of fuzzing, from seeds out of the test vectors (FUZZ_SECONDS for each target)
	scripts/fuzz.sh $(FUZZ_SECONDS)

install: $(S)/toolchain.stamp ## the C library: make install PREFIX=/usr/local [DESTDIR=...]
	DESTDIR="$(DESTDIR)" scripts/capi.sh install "$(PREFIX)" $(if $(LIBRARY),"$(LIBRARY)")

audit: $(S)/tools.stamp ## RustSec advisories (needs the network)
	cargo deny fetch db || { echo "make audit: the RustSec database cannot be fetched here, so nothing was checked" >&2; exit 1; }
	cargo deny --workspace check --disable-fetch advisories

setup: $(S)/toolchain.stamp $(S)/debian.stamp $(S)/python.stamp $(S)/tools.stamp $(S)/firmware.stamp ## everything the other commands need

clean: ## remove build output and demo state; keeps .setup (rm -rf .setup forgets that too)
	cargo clean
	rm -rf .demo

# --- Gates -------------------------------------------------------------------

fmt: $(S)/toolchain.stamp
	echo "==> rustfmt"
	cargo fmt --all --check
	cargo fmt --manifest-path bare-metal/Cargo.toml --check

clippy: $(S)/toolchain.stamp
	echo "==> clippy"
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --workspace --all-targets --features $(OF_THEIR_OWN),countersign-signing/tough -- -D warnings

deny: $(S)/tools.stamp
	echo "==> cargo-deny: bans, licences, sources"
	cargo deny --log-level error --workspace check bans licenses sources
	cargo deny --log-level error --manifest-path bare-metal/Cargo.toml check bans licenses sources
	scripts/dependency-rules.sh

docs: $(S)/toolchain.stamp
	echo "==> rustdoc"
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --quiet --workspace --no-deps

conformance:
	echo "==> docs/conformance.md names tests that exist, and listings are what the files say"
	scripts/conformance.sh
	scripts/listings.py docs/embedding.md

no-std: $(S)/toolchain.stamp
	echo "==> no_std"
	cargo check --locked --quiet -p countersign-verifier --no-default-features --features rustcrypto
	cargo check --locked --quiet -p countersign-verifier --no-default-features --features rustcrypto,p256
	if rustup target list --installed 2>/dev/null | grep -qx $(BARE_METAL) || rustup target add $(BARE_METAL) 2>/dev/null; then
	  cargo check --locked --quiet -p countersign-verifier --no-default-features --features rustcrypto,p256 --target $(BARE_METAL)
	else
	  echo "    skipped for $(BARE_METAL): 'rustup target add $(BARE_METAL)' does not work here"
	fi

features: $(S)/toolchain.stamp
	echo "==> the libraries for embedders with less than all their features"
	scripts/features.sh

semver: $(S)/toolchain.stamp
	echo "==> public interfaces, compared with the last release"
	scripts/semver.sh

unit: $(S)/debian.stamp $(S)/python.stamp
	echo "==> tests"
	trap 'scripts/postgres.sh stop; scripts/moto.sh stop' EXIT
	export COUNTERSIGN_TEST_POSTGRES=$$(scripts/postgres.sh start)
	export COUNTERSIGN_TEST_S3=$$(scripts/moto.sh start)
	cargo $(RUN_TESTS) --locked --workspace $(ALL_TESTS)
	cargo $(RUN_TESTS) --locked --workspace --features $(OF_THEIR_OWN) --test crash --test yubihsm --test pki --test ceremony

doctest:
	echo "==> doc tests"
	cargo test --locked --quiet --workspace --doc

unit-long: $(S)/debian.stamp
	echo "==> tests, long: more property-test cases, and the tests marked as ignored"
	PROPTEST_CASES=2048 cargo test --locked --workspace --tests -- --include-ignored
	cargo test --locked --workspace --features $(OF_THEIR_OWN) --test crash -- --include-ignored
	cargo test --locked -p countersign-metadata --no-default-features --features rustcrypto,std,p256
	cargo test --locked -p countersign-verifier --no-default-features --features rustcrypto,std,p256

mutants: $(S)/toolchain.stamp
	echo "==> every check of the verifier taken away, one at a time: some vector has to fail"
	cargo run --locked -p countersign-mutation-check

instructions: $(S)/toolchain.stamp $(S)/debian.stamp
	echo "==> instructions of the hottest paths, compared with benches/instructions/counts.toml"
	cargo build --locked --quiet --release -p countersign-bench-instructions
	benches/instructions/check.py $(TARGET_DIR)/release/count-instructions

audit-if-online: $(S)/tools.stamp
	echo "==> RustSec advisories"
	if cargo deny fetch db 2>/dev/null; then
	  cargo deny --workspace check --disable-fetch advisories
	else
	  echo "    skipped: the RustSec database cannot be fetched here"
	fi

vectors:
	echo "==> test vectors: regenerated with an empty diff"
	cargo build --locked --quiet $(BUILT)
	$(VECTORS) generate --check

abi: $(S)/debian.stamp
	echo "==> the C header is what the code says, and the seeds of the fuzz targets pass"
	cargo build --locked --quiet $(BUILT)
	$(COUNTERSIGN_BIN_DIR)/examples/header check
	scripts/fuzz.sh seeds

bare-metal: $(S)/toolchain.stamp $(S)/debian.stamp
	echo "==> bare metal: no panic of ours in a device's firmware, and the vectors on an emulated Cortex-M4"
	cargo build --locked --quiet $(BUILT)
	scripts/bare-metal.sh test

interop: $(S)/debian.stamp $(S)/python.stamp
	echo "==> python-tuf and securesystemslib, both ways"
	cargo build --locked --quiet $(BUILT)
	$(PYTEST) tests/interop
	echo "==> every vector against the client-verifier command"
	$(VECTORS) run --jobs 4 --client "$(COUNTERSIGN_BIN_DIR)/client-verifier --format json" --protocol tuf,uptane
	echo "==> the vectors on each one's list against tough and python-tuf"
	$(VECTORS) run --cases test-vectors/expected/tough.txt --client $(COUNTERSIGN_BIN_DIR)/examples/tough-client
	$(VECTORS) run --cases test-vectors/expected/python-tuf.txt --client "$(S)/venv/bin/python tests/interop/pytuf_client.py"
	echo "==> every manifest against the Director's adapter"
	$(VECTORS) run --director $(COUNTERSIGN_BIN_DIR)/examples/manifest-adapter
	echo "==> the vectors of the top-level roles against a client that was written from their README"
	$(VECTORS) run --filter root/ --filter timestamp/ --filter snapshot/ --filter targets/ --filter images/ --jobs 4 \
	  --exceptions test-vectors/exceptions/small-client.toml --client "$(S)/venv/bin/python tests/interop/small_client.py"

demo-quick: $(S)/debian.stamp $(S)/firmware.stamp
	echo "==> demo"
	cargo build --locked --quiet $(BUILT)
	scripts/demo.sh --quick

# --- Set-up ------------------------------------------------------------------

$(S)/toolchain.stamp: scripts/setup.sh
	scripts/setup.sh toolchain
	touch $@

$(S)/debian.stamp: scripts/setup.sh
	scripts/setup.sh debian
	touch $@

$(S)/python.stamp: tests/interop/requirements.txt $(S)/debian.stamp
	scripts/setup.sh python
	touch $@

$(S)/tools.stamp: scripts/setup.sh
	scripts/setup.sh tools
	touch $@

$(S)/peers.stamp: scripts/setup.sh benches/peers/sigstore-client/Cargo.lock benches/peers/sigstore-client/src/main.rs
	scripts/setup.sh peers
	touch $@

$(S)/firmware.stamp: scripts/firmware.sh $(S)/debian.stamp
	scripts/firmware.sh
	touch $@

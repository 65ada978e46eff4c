# Two commands do everything on a fresh Debian or Ubuntu machine:
#
#   make up      build, then run a private PostgreSQL, the collector and a sensor on this host
#   make test    every test, with the real programs they need
#
# Everything else is a part of these two. `make help` lists the rest.

SHELL  := /bin/bash
PREFIX ?= /usr/local
CARGO  := setup/cargo.sh
BIN    := target/release

.PHONY: up down build test check kernels bench soak fuzz deb install packages help
.DEFAULT_GOAL := help

help: ## list the commands
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: build ## start everything on this host, in the foreground, until Ctrl-C
	@exec $(BIN)/vedette up $(UP)

down: ## stop what `vedette up --detach` started
	@exec $(BIN)/vedette down

build: packages ## build vedette, vedette-sensor and vedette-collector into target/release
	@echo "build: release binaries (the first time takes some minutes on two cores)"
	@$(CARGO) build --release --locked -p vedette-collector -p vedette-sensor

packages: ## install what is missing: Debian packages and Rust
	@setup/packages.sh build
	@setup/rust.sh

test: packages ## run every test; prints how long each suite took
	@setup/packages.sh test
	@setup/suites.sh

check: packages ## formatting, lints and the tidy test only
	@setup/suites.sh format lint tidy

kernels: packages ## the kernel matrix only (UPDATE_DOCS=1 writes docs/kernels.md); ARCH=arm64: a sensor compiled for arm64, on its kernels
	@setup/packages.sh test
	@[ "$(or $(ARCH),amd64)" = amd64 ] || setup/packages.sh $(ARCH)
	@VEDETTE_ARCH=$(or $(ARCH),amd64) setup/suites.sh kernels

bench: packages ## measure; the figures in docs/benchmarks.md come from here
	@setup/packages.sh bench
	@setup/bench.sh $(BENCH)

soak: packages ## long runs: session machines and spool through histories (SEEDS=400, to a million); every fault and PAIRS=100 of two; floods, as root
	@setup/packages.sh test
	@VEDETTE_SEEDS=$(or $(SEEDS),400) $(CARGO) test --locked --profile bench -p tests --test session_pair -- --nocapture
	@$(CARGO) build --locked --profile bench -p vedette-collector -p vedette-sensor -p tests
	@VEDETTE_FAULTS=all VEDETTE_PAIRS=$(or $(PAIRS),100) $(CARGO) test --locked --profile bench -p tests --test faults -- --nocapture
	@VEDETTE_SOAK=1 $(CARGO) test --locked --profile bench -p tests --test flood -- --nocapture --test-threads 1
	@VEDETTE_SOAK=1 $(CARGO) test --locked --profile bench -p tests --test kafka -- --nocapture --test-threads 1

fuzz: packages ## long runs of every property test (CASES=20000), then the fuzzer on what comes from elsewhere (FOR=300 seconds each)
	@PROPTEST_CASES=$(or $(CASES),20000) $(CARGO) test --locked --profile bench -p wire --all-features
	@PROPTEST_CASES=$(or $(CASES),20000) $(CARGO) test --locked --profile bench -p vedette-sensor --lib
	@PROPTEST_CASES=$(or $(CASES),20000) $(CARGO) test --locked --profile bench -p vedette-collector --test ocsf
	@SECONDS_EACH=$(or $(FOR),300) setup/fuzz.sh $(FUZZ)

deb: build ## make Debian packages of collector, sensor and command line, in target/debian
	@setup/debs.sh release
	@ls -1 target/debian/*.deb

install: build ## copy programs, man pages and completions into PREFIX (default /usr/local)
	@setup/install.sh $(BIN) $(DESTDIR)$(PREFIX)

# What there is to do here; `make` alone lists it.

CARGO ?= cargo

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: onnxruntime ## Portent on :9847 with its built-in configuration and model; flags by ARGS="..."
	$(CARGO) run --release -- serve $(ARGS)

.PHONY: demo
demo: onnxruntime peers ## node_exporter, Prometheus and Portent wired together, with the scores
	$(CARGO) build --release
	examples/demo.sh

# Most tests wait for other programs more than they compute: two at a time for each processor.
.PHONY: test
test: onnxruntime peers ## every test, those with a real Prometheus and Alertmanager included
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((2 * $$(getconf _NPROCESSORS_ONLN)))} $(CARGO) test $(ARGS)

# What the tests need is fetched while the lints compute. The tests come last, so that their results are
# what one sees.
.PHONY: check
check: ## what CI runs: formatting, lints, documentation, every test
	$(MAKE) -j 3 onnxruntime peers lint
	$(MAKE) test

.PHONY: lint
lint: ## formatting, lints, documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps

.PHONY: bench
bench: onnxruntime ## the benches; how well it detects: ARGS="--bench quality -- fleets"
	$(CARGO) bench $(ARGS)

.PHONY: model
model: onnxruntime peers ## make models/node.onnx again: a made-up fleet beside a recorded machine
	$(CARGO) build --release
	models/fit.sh

.PHONY: recording
recording: peers ## record that machine anew: this one, under load for 50 minutes
	models/record.sh

.PHONY: deb
deb: ## a Debian package into target/debian, with ONNX Runtime inside
	examples/debian/build.sh

.PHONY: deb-test
deb-test: deb peers ## the package's life in a root of its own, from apt to a score and a purge; as root
	tests/deb.sh

.PHONY: onnxruntime
onnxruntime: ## ONNX Runtime's shared library into .onnxruntime, unless there is one
	@tests/onnxruntime.sh

.PHONY: peers
peers: ## the real programs of the tests into .peers, where there is apt
	@tests/peers.sh

.PHONY: clean
clean: ## remove what was built and fetched
	$(CARGO) clean
	rm -rf .onnxruntime .peers

# Everything a developer types. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Packages that need no set-up: no libtorch, no cgo.
PURE := ./shard/... ./coordinator/... ./collector/dataset/... ./collector/forecast ./collector/model/bpe ./collector/model/gguf ./internal/mapped ./internal/outfile ./internal/smallfile ./internal/safetensors ./trainer/coder ./trainer/export/array ./trainer/export/archive ./trainer/export/npy ./trainer/export/pickle ./trainer/folder

# Packages whose tests run under the race detector: all that need no libtorch.
RACE := $(PURE) ./trainer/stream ./trainer/probe ./analysis/evaluate ./analysis/report

.PHONY: help setup build demo demo-real test test-pure build-macos race test-s3 test-fleet test-interop test-peers test-parity test-wheel test-fakegpu gpu-package gpu-check-toy fuzz bench licences clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## find or install libtorch, compile build/lib/libtch.so, write go.work
	@scripts/setup.sh

build: setup ## bin/actfleet
	@echo "build: bin/actfleet (one to three minutes the first time, seconds after that)"
	@time go build -ldflags "-X main.stamp=$$(git describe --tags --always --dirty 2>/dev/null)" -o bin/actfleet ./cmd/actfleet

demo: build ## the main job, end to end: three nodes, one killed, coders, SQL, a report
	@scripts/demo.sh

demo-real: build ## a real language model, Gemma 3 270M out of a Python package: what does it know, and where?
	@scripts/demo-real.sh

test: setup ## all tests
	go test ./...

test-pure: ## the tests that need no set-up at all, without cgo
	CGO_ENABLED=0 GOWORK=off go test $(PURE)

build-macos: ## what needs no set-up, as a Mac compiles it
	CGO_ENABLED=0 GOWORK=off GOOS=darwin GOARCH=arm64 go build $(PURE)

race: ## what needs no libtorch, under the race detector
	go test -race -short $(RACE)

test-s3: setup ## the tests against a real S3 server, versitygw, which goes into build/bin
	export ACTFLEET_VERSITYGW; ACTFLEET_VERSITYGW=$$(scripts/versitygw.sh) && go test -count=1 ./shard/store/s3 && go test -count=1 -run S3 ./cmd/actfleet

test-fleet: setup ## two machines as docs/fleet.md says; eight processes, disturbed, on a disk, in a bucket and with lost packets; SEEDS=1-20 and LONG=1 for the long form
	scripts/two_machines.sh
	ACTFLEET_FLEET_LONG=$(LONG) scripts/fleet.sh $(SEEDS)

test-interop: setup ## our files in the hands of pyarrow, DuckDB, Polars, safetensors, tokenizers and TensorBoard
	python=$$(scripts/interop/venv.sh) && ACTFLEET_PYTHON="$$python" go test -count=1 ./shard/... ./collector/... ./trainer/...

test-peers: setup ## autoencoders to and from SAELens, sparsify and dictionary_learning, chat templates and MXFP4 beside transformers (installs torch: some minutes, 6.7 GB)
	python=$$(scripts/interop/venv.sh peers) && ACTFLEET_PYTHON="$$python" go test -count=1 -v -run 'Python|Peers|EveryLearner' ./trainer/export ./cmd/actfleet ./collector/model/quant ./collector/dataset/chat

test-parity: setup ## every fixture beside Hugging Face itself, in the Python ACTFLEET_PYTHON or the venv of test-peers
	python=$${ACTFLEET_PYTHON:-$$(scripts/interop/venv.sh peers)} && ACTFLEET_PYTHON="$$python" go test -count=1 -v -run TestHuggingFace ./collector/model/parity

test-wheel: ## the tensor tests against the torch of PYTHON or LIBTORCH, in build/wheel
	@test -n "$$LIBTORCH$$PYTHON" || { echo "test-wheel: set PYTHON to a Python that has torch, or LIBTORCH"; exit 2; }
	@BUILD=build/wheel scripts/setup.sh
	GOWORK=$(CURDIR)/build/wheel/go.work go test ./internal/torch ./collector/model/...

test-fakegpu: setup ## the CUDA path on a machine without a GPU: every fixture, and faults, on a GPU whose memory the host may not touch
	@scripts/setup.sh --fakegpu
	LD_LIBRARY_PATH=$(abspath $(or $(BUILD),build))/fakegpu ACTFLEET_FAKEGPU=1 FAKEGPU_DEVICES=4 go test -count=1 -run FakeGPU ./internal/torch ./internal/torch/limits ./collector ./collector/model ./trainer ./trainer/sae ./cmd/actfleet

gpu-package: setup ## build/actfleet-gpu.tar.gz: scripts/gpu/check.sh and what it needs, for a machine with a GPU and torch but no Go
	scripts/gpu/package.sh $(or $(BUILD),build)/actfleet-gpu.tar.gz

gpu-check-toy: gpu-package ## unpack that where there is no Go and run it, tiny, on the GPU for tests; what is compiled already is taken along
	dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && tar -xzf $(or $(BUILD),build)/actfleet-gpu.tar.gz -C "$$dir" && \
		cp -r $(or $(BUILD),build)/obj "$$dir/actfleet-gpu/build/" && cd "$$dir/actfleet-gpu" && env -u BUILD PATH=/usr/bin:/bin scripts/gpu/check.sh --toy

fuzz: ## every fuzz target, 100,000 executions each; EXECS=N, PART=1/6 for a sixth of them
	@scripts/fuzz.sh

bench: build ## the numbers of this machine, each beside its limit
	bin/actfleet bench store
	bin/actfleet bench collect
	bin/actfleet bench sae
	bin/actfleet bench stream

licences: setup ## docs/licences.txt: what is linked, with the texts
	go run ./scripts/licences > docs/licences.txt.part && mv docs/licences.txt.part docs/licences.txt

clean: ## remove what was built and the demo
	rm -rf build bin demo go.work go.work.sum

# Everything a developer types. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help

.PHONY: help setup build test test-wheel clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## find or install libtorch, compile build/lib/libtch.so, write go.work
	@scripts/setup.sh

build: setup ## bin/actfleet
	go build -o bin/actfleet ./cmd/actfleet

test: setup ## all tests
	go test ./...

test-wheel: ## the tensor tests against the torch of $$LIBTORCH or $$PYTHON, in build/wheel
	@BUILD=build/wheel scripts/setup.sh
	GOWORK=$(CURDIR)/build/wheel/go.work go test ./internal/torch

clean: ## remove what was built
	rm -rf build bin go.work go.work.sum

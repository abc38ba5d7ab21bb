.PHONY: help build run demo test check race lint fuzz bench clean

help: ## show this
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build the binary into bin/worker, version stamped
	go build -trimpath -ldflags "-s -w -X main.release=$$(git describe --tags --always --dirty 2>/dev/null)" -o bin/worker ./cmd/worker

run: ## run a worker with its own NATS on 127.0.0.1:4222
	go run ./cmd/worker

demo: ## watch the whole loop for half a minute
	go run ./cmd/worker demo

test: ## run the tests
	go test ./...

check: ## what has to pass before a change lands
	bash .ci/run

race: ## run the tests with the race detector
	go test -race -short ./...

lint: ## formatting, vet and staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

fuzz: ## fuzz the decoders for a minute each
	go test ./internal/wire -run '^$$' -fuzz '^FuzzDecode$$' -fuzztime 1m
	go test ./internal/strategy -run '^$$' -fuzz '^FuzzParseSpace$$' -fuzztime 1m
	go test ./internal/agent -run '^$$' -fuzz '^FuzzParseLine$$' -fuzztime 1m
	go test ./internal/replay -run '^$$' -fuzz '^FuzzParseLabels$$' -fuzztime 1m

bench: ## throughput and latency beside the floor, on a server of its own
	go run ./cmd/worker bench --embedded

clean: ## remove what was built
	rm -rf bin dist

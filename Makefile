# Every target says what it needs. `make build` and `make demo` need only Go (and the demo root).

GO ?= go

# Tests of packages run side by side; those that send traffic and keep an eye on the clock run alone
# after them, and the last looks for what the others left behind.
ALONE := ./cmd/headgate/e2e ./scripts/package ./scripts/leftovers
TESTFLAGS ?= -timeout 15m
# Most of an end-to-end test is waiting: for checks, deadlines and idle times.
E2EFLAGS ?= -parallel 4
KERNELS ?= 6.1 6.12

.PHONY: help build generate check deps test test-kernels demo bench bench-api bench-control bench-health bench-wire cost storm killed package clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

build: ## the binary: build/headgate
	$(GO) build -trimpath -o build/headgate ./cmd/headgate

generate: ## the BPF object and its Go side from bpf/ (needs clang-19, see scripts/deps.sh)
	$(GO) generate ./loader ./loader/dptest ./scripts/bench ./scripts/bench/wire

check: ## formatting, vet, and all tests that need no clients and servers (needs root for those that load programs)
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) test $(TESTFLAGS) $$($(GO) list ./... | grep -vE '/(cmd/headgate/e2e|scripts/package|scripts/leftovers)$$')

deps: ## what the tests need, from Debian (needs root when something is missing)
	@scripts/deps.sh

test: deps check ## all tests, also on the two oldest kernels (needs root)
	@status=0; \
	for package in $(ALONE); do $(GO) test -count=1 $(TESTFLAGS) $(E2EFLAGS) $$package || status=1; done; \
	$(MAKE) --no-print-directory test-kernels || status=1; \
	exit $$status

test-kernels: ## load, golden stories and real traffic on Debian's 6.1 and 6.12 under qemu (KERNELS="5.10 6.1 6.12 6.18 7.3")
	@scripts/deps.sh qemu-system-x86 busybox-static cpio xz-utils
	@scripts/kernels/run.sh $(KERNELS)

demo: ## the whole thing at work, in less than a minute (needs root)
	@$(GO) run ./scripts/demo

bench: ## packets per second and ratios to the floor (needs root)
	@$(GO) run ./scripts/bench

bench-api: ## 200 changes a second for a minute among 1,000 configs and 10,000 nodes, under traffic (needs root)
	@HEADGATE_BENCH_API=1m $(GO) test ./cmd/headgate/e2e -run TestManyChangesAmongMany -v -count=1

cost: ## instructions that the program executes for a packet, by path and by feature that is used (needs root)
	@$(GO) test ./loader -run 'TestUnusedFeatures|TestWhatIsLoaded' -v -count=1

storm: ## a minute of random packets on all CPUs, an hour of the program's time; no fault may be left in the tables (needs root)
	@HEADGATE_STORM_TIME=1m $(GO) test ./loader -run TestStormOnAllCPUs -v -count=1

killed: ## 1,000 random changes by the API, the daemon killed at random moments of them; store and maps must agree (needs root; ten minutes)
	@HEADGATE_KILLED_CHANGES=1000 $(GO) test ./cmd/headgate/e2e -run TestAKilledDaemonHasEveryAnsweredChange -v -count=1 -timeout 30m

bench-control: ## how soon a start and a change are done with 10,000 nodes, and their memory (needs root)
	@$(GO) run ./scripts/bench/control

package: ## the Debian package, build/headgate_VERSION_ARCH.deb (VERSION=1.2.3; needs only Go)
	@scripts/package/build.sh $(VERSION)

bench-health: ## what the checks of 10,000 nodes cost, and how soon the dead are out (needs root and nftables)
	@$(GO) run ./scripts/bench/health

bench-wire: ## packets per second from veth to veth, beside a plain NAT in XDP, the kernel and nftables (needs root and nftables)
	@$(GO) run ./scripts/bench/wire

clean: ## what build and test made
	rm -rf build
	$(GO) clean -testcache

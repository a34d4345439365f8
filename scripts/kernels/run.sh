#!/bin/sh
# Tries Headgate on Debian's cloud kernels, booted under qemu without acceleration: the program is loaded,
# the golden stories, the pins and native XDP on veth are tested, and the demo is played from its first
# connection to its last. A kernel that is too old must be refused with the sentence that says what it
# lacks. Needs no root once the packages of `make test-kernels` are there. Arguments: kernel series.
set -eu

series=${*:-6.1 6.12}
tests='Golden|Second|Tables|Foreign|Attach|ModeChange|Another|Directory|Sweep|ZeroIsSent'
limit=420 # seconds for one kernel, from its first message to power-off

cd "$(dirname "$0")/../.."
here=scripts/kernels
cache=$PWD/build/kernels
mkdir -p "$cache"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	echo "test-kernels: $*" >&2
	exit 1
}

# shellcheck source=scripts/kernels/packages.sh
. $here/packages.sh

# What is tried, all of it static: the tests of the loader, headgate, and the demo.
build() {
	export CGO_ENABLED=0
	${GO:-go} test -c -o "$work/loader.test" ./loader
	${GO:-go} build -o "$work/headgate" ./cmd/headgate
	${GO:-go} build -o "$work/demo" ./scripts/demo
}

# Everything that the guest sees: busybox, the veth module, and what was built.
initramfs() {
	root=$work/root
	mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/run" "$root/loader" "$root/testdata"
	cp "$(command -v busybox)" "$root/bin/busybox"
	cp "$work/loader.test" "$root/loader/"
	cp "$work/headgate" "$work/demo" "$root/bin/"
	cp -r testdata/golden "$root/testdata/"
	printf 'interfaces: [lo]\n' >"$root/headgate.yaml"
	module=$(find "$cache/$1" -name 'veth.ko*')
	case $module in
	*.xz) xz -dc "$module" >"$root/veth.ko" ;;
	*) cp "$module" "$root/veth.ko" ;;
	esac
	cp $here/init "$root/init"
	(cd "$root" && find . | cpio -o -H newc --quiet) >"$work/initramfs"
	rm -r "$root"
}

# Boots a kernel with a command for its init; the console goes to the log.
boot() {
	timeout "$limit" qemu-system-x86_64 -accel tcg -cpu max -smp 2 -m 1536 -no-reboot -display none \
		-serial stdio -kernel "$(echo "$cache/$1"/boot/vmlinuz-*)" -initrd "$work/initramfs" \
		-append "console=ttyS0 quiet panic=-1 try=$2 tests=$tests" </dev/null 2>&1 | tr -d '\r' >"$3"
}

# Whether a kernel of the baseline or newer does all of it.
serves() {
	boot "$1" all "$2"
	grep -q '^tests: 0$' "$2" && grep -q '^demo: 0$' "$2"
}

# Whether one that is older is refused, in words.
is_refused() {
	boot "$1" refusal "$2"
	grep -q '^refusal: 1$' "$2" && grep -q 'is too old: it lacks .*; Headgate needs Linux 6.1 or newer' "$2"
}

# What there is to say of a kernel that was tried.
report() {
	case $1 in
	5.*) grep -o 'kernel .* is too old.*' "$2" | head -n 1 ;;
	*) echo "$(grep -c '^--- PASS' "$2") tests, $(grep -c '^    --- PASS' "$2") stories, $(grep -c 'held: ' "$2") claims of the demo" ;;
	esac
}

build
failed=""
for s in $series; do
	p=$(package "$s")
	[ -n "$p" ] || fail "no cloud kernel $s in the suites of $here/packages.sh"
	unpack "$p"
	initramfs "$p"
	log=$cache/$p.log
	begun=$(date +%s)
	case $s in
	5.*) try=is_refused ;;
	*) try=serves ;;
	esac
	if $try "$p" "$log"; then
		echo "ok   $s ($p): $(report "$s" "$log"), $(($(date +%s) - begun)) s"
	else
		grep -v -e '^=== ' -e '--- PASS' "$log" >&2 || true
		echo "FAIL $s ($p): all of it is in $log"
		failed="$failed $s"
	fi
done
[ -z "$failed" ] || fail "failed:$failed"

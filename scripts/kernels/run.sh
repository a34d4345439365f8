#!/bin/sh
# Tries Headgate on Debian's cloud kernels, two at a time, each in a guest of its own: see try.sh. Needs no root
# once the packages of `make test-kernels` are there. Arguments: kernel series.
#
#   LONG=1       more of the loader's tests and the whole demo: four minutes a kernel instead of two
#   ACCEL=kvm    how qemu runs the guests, where /dev/kvm works; else they are emulated
set -eu

series=${*:-6.1 6.12}

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
export CGO_ENABLED=0
${GO:-go} test -c -o "$work/loader.test" ./loader
${GO:-go} build -o "$work/headgate" ./cmd/headgate
${GO:-go} build -o "$work/demo" ./scripts/demo

: >"$work/list"
for s in $series; do
	p=$(package "$s")
	[ -n "$p" ] || fail "no cloud kernel $s in the suites of $here/packages.sh"
	fetch "$p"
	echo "$s $p" >>"$work/list"
done

export cache work
# -L 1: a line for each; xargs fails if any of them does.
xargs -L 1 -P 2 $here/try.sh <"$work/list" || fail "not all of: $series"

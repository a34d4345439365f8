#!/bin/sh
# Loads the program and runs the data path's tests on Debian's cloud kernels, booted under qemu without
# acceleration: the golden stories, the pins, and native XDP on veth. Needs no root once the packages of
# `make test-kernels` are there. Arguments: kernel series, 6.1 without any; whatever apt offers will do.
set -eu

series=${*:-6.1}
tests='Golden|Second|Tables|Foreign|Attach|ModeChange|Another|Directory|Sweep|ZeroIsSent'
limit=300 # seconds for one kernel, from its first message to power-off

cd "$(dirname "$0")/../.."
cache=$PWD/build/kernels
mkdir -p "$cache"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	echo "test-kernels: $*" >&2
	exit 1
}

# The newest signed cloud kernel of a series, as the package lists have it.
package() {
	apt-cache pkgnames "linux-image-$1." | grep -E '^linux-image-[0-9][^ ]*-cloud-amd64$' | sort -V | tail -n 1
}

# Downloads and unpacks a package, unless the cache has it. Nothing is installed.
unpack() {
	[ ! -d "$cache/$1" ] || return 0
	mkdir "$work/download"
	(cd "$work/download" && apt-get download "$1" >log 2>&1) || {
		cat "$work/download/log" >&2
		fail "could not download $1 (old package lists? apt-get update)"
	}
	dpkg-deb -x "$work"/download/*.deb "$cache/$1.part"
	mv "$cache/$1.part" "$cache/$1"
	rm -r "$work/download"
}

# Everything that the guest sees: busybox, the veth module, the test binary and its stories.
initramfs() {
	root=$work/root
	mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/loader" "$root/testdata"
	cp "$(command -v busybox)" "$root/bin/busybox"
	cp "$work/loader.test" "$root/loader/"
	cp -r testdata/golden "$root/testdata/"
	module=$(find "$cache/$1" -name 'veth.ko*')
	case $module in
	*.xz) xz -dc "$module" >"$root/veth.ko" ;;
	*) cp "$module" "$root/veth.ko" ;;
	esac
	cat >"$root/init" <<-END
		#!/bin/busybox sh
		bb=/bin/busybox
		\$bb mount -t proc proc /proc
		\$bb mount -t sysfs sysfs /sys
		\$bb mount -t tmpfs tmpfs /tmp
		\$bb mount -t bpf bpf /sys/fs/bpf
		\$bb insmod /veth.ko
		echo "booted: Linux \$(\$bb uname -r)"
		cd /loader && ./loader.test -test.v -test.run '$tests'
		echo "status: \$?"
		\$bb poweroff -f
	END
	chmod +x "$root/init"
	(cd "$root" && find . | cpio -o -H newc --quiet) >"$work/initramfs"
	rm -r "$root"
}

# Boots a kernel; its console goes to the log. True when the tests passed.
boot() {
	timeout "$limit" qemu-system-x86_64 -accel tcg -cpu max -smp 2 -m 1024 -no-reboot -display none \
		-serial stdio -kernel "$(echo "$cache/$1"/boot/vmlinuz-*)" -initrd "$work/initramfs" \
		-append "console=ttyS0 quiet panic=-1" </dev/null 2>&1 | tr -d '\r' >"$2"
	grep -q '^status: 0$' "$2"
}

CGO_ENABLED=0 ${GO:-go} test -c -o "$work/loader.test" ./loader

failed=""
for s in $series; do
	p=$(package "$s")
	[ -n "$p" ] || fail "apt knows no cloud kernel $s (its suite must be among the sources)"
	unpack "$p"
	initramfs "$p"
	log=$cache/$p.log
	begun=$(date +%s)
	if boot "$p" "$log"; then
		echo "ok   $s ($p): $(grep -c '^--- PASS' "$log") tests, $(grep -c '^    --- PASS' "$log") stories, $(($(date +%s) - begun)) s"
	else
		grep -v -e '^=== ' -e '--- PASS' "$log" >&2 || true
		echo "FAIL $s ($p): all of it is in $log"
		failed="$failed $s"
	fi
done
[ -z "$failed" ] || fail "failed:$failed"

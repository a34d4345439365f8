#!/bin/sh
# Boots one kernel under qemu and judges by its console. The program is loaded, its golden stories are told, it
# is attached natively to veth and taken over, and real connections go through it: the demo, or its first
# scenes. A kernel that is too old must be refused with the sentence that says what it lacks.
# Arguments: series and package, which run.sh has fetched; it sets cache and work, too.
set -eu

series=$1 kernel=$cache/$2 log=$cache/$2.log
here=$(dirname "$0")
limit=420 # seconds from the first message to power-off, on a machine that does other things, too
tests='GoldenStories|AttachTakesOver'
demo=-short
if [ -n "${LONG:-}" ]; then
	limit=480
	tests='Golden|Second|Tables|Layout|Attach|ModeChange|Another|Directory|Sweep|ZeroIsSent'
	demo=
fi

# Everything that the guest sees: busybox, the veth module, and what is tried.
initramfs() {
	root=$work/$series
	mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/run" "$root/loader" "$root/testdata"
	cp "$(command -v busybox)" "$root/bin/busybox"
	cp "$work/loader.test" "$root/loader/"
	cp "$work/headgate" "$work/demo" "$root/bin/"
	cp -r testdata/golden "$root/testdata/"
	printf 'interfaces: [lo]\n' >"$root/headgate.yaml"
	cp "$kernel/veth.ko" "$here/init" "$root/"
	(cd "$root" && find . | cpio -o -H newc --quiet) >"$work/$series.initramfs"
	rm -r "$root"
}

# Boots with a command for init; the console goes to the log.
boot() {
	case ${ACCEL:=tcg} in
	tcg) cpu=max ;;
	*) cpu=host ;;
	esac
	for _ in 1 2; do
		status=0
		timeout "$limit" qemu-system-x86_64 -accel "$ACCEL" -cpu "$cpu" -smp 2 -m 1536 -no-reboot -display none \
			-serial stdio -kernel "$kernel/vmlinuz" -initrd "$work/$series.initramfs" \
			-append "console=ttyS0 quiet panic=-1 try=$1 tests=$tests demo=$demo" </dev/null >"$log.raw" 2>&1 || status=$?
		tr -d '\r' <"$log.raw" >"$log"
		rm "$log.raw"
		# 128 and SIGSEGV: the emulator itself has crashed, as it was seen to do at a start. That says
		# nothing of the guest.
		[ "$status" -eq 139 ] || return 0
		echo "     $series: qemu has crashed" >&2
	done
}

# Whether a kernel of the baseline or newer does all of it.
serves() {
	boot all
	grep -q '^tests: 0$' "$log" && grep -q '^demo: 0$' "$log"
}

# Whether one that is older is refused, in words.
is_refused() {
	boot refusal
	grep -q '^refusal: 1$' "$log" && grep -q 'is too old: it lacks .*; Headgate needs Linux 6.1 or newer' "$log"
}

# What there is to say of a kernel that was tried.
report() {
	case $series in
	5.*) grep -o 'kernel .* is too old.*' "$log" | head -n 1 ;;
	*) echo "$(grep -c '^--- PASS' "$log") tests, $(grep -c '^    --- PASS' "$log") stories, $(grep -c 'held: ' "$log") claims of the demo" ;;
	esac
}

initramfs
begun=$(date +%s)
case $series in
5.*) expected=is_refused ;;
*) expected=serves ;;
esac
if $expected; then
	echo "ok   $series ($2): $(report), $(($(date +%s) - begun)) s"
else
	grep -v -e '^=== ' -e '--- PASS' "$log" >&2 || true
	echo "FAIL $series ($2): not as it should be within $limit s; all of it is in $log"
	exit 1
fi

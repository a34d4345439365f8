#!/bin/sh
# Installs the Debian packages that `make generate` and `make test` need, or those that are named as
# arguments. Quiet and quick when they are all there. Go itself is expected to be installed; `make build`
# and `make demo` need nothing from here.
set -eu

packages=${*:-"
	clang-19 llvm-19 libbpf-dev linux-libc-dev
	nginx-light curl iperf3 wrk ncat ethtool nftables prometheus tmux iputils-ping traceroute tshark
	strace systemd man-db buildah podman runc busybox-static
	zsh fish
"}

missing=""
for p in $packages; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)
	[ "$status" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "deps: needed and not found:$missing (no apt-get here: install them in your system's way)" >&2
	exit 1
fi
if [ "$(id -u)" != 0 ]; then
	echo "deps: needed and not installed:$missing (run as root, or: sudo apt-get install$missing)" >&2
	exit 1
fi
echo "deps: installing$missing" >&2

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Installed servers must not start: the tests start their own, in namespaces.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
	trap 'rm -f "$log" "$policy"' EXIT
fi
install() {
	# shellcheck disable=SC2086 # a list of words
	apt-get install -y --no-install-recommends $missing >"$log" 2>&1
}
# The package lists are fetched only when those that are there are no good.
install || { apt-get update >"$log" 2>&1 && install; } || {
	cat "$log" >&2
	echo "deps: could not install$missing" >&2
	exit 1
}

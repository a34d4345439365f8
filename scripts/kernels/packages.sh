# Debian's cloud kernels, from more suites than this system has, by an apt of their own: nothing is
# installed, and the system's lists stay as they are. Read by run.sh, which sets cache, work and series.

# Where the series lie: 6.1, 6.12, and those that are newer; 5.10, which leaves the mirrors first.
suites="bookworm trixie trixie-backports"
case " $series" in *" 5."*) suites="bullseye $suites" ;; esac

apt_dir=$cache/apt
apt_options="-o Dir::Etc::sourcelist=$apt_dir/sources.list -o Dir::Etc::sourceparts=/dev/null
	-o Dir::State::lists=$apt_dir/lists -o Dir::Cache=$apt_dir/cache
	-o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o Acquire::Languages=none"

# Fetches the lists, once a day.
fetch_lists() {
	# The mirror that this system uses.
	mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Component: main' | grep -E '/debian/?$' | head -n 1)
	[ -n "$mirror" ] || fail "apt has no source of Debian's packages"
	for suite in $suites; do
		echo "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
	done >"$work/sources.list"
	mkdir -p "$apt_dir/lists/partial" "$apt_dir/cache/archives/partial"
	if cmp -s "$work/sources.list" "$apt_dir/sources.list" && [ -n "$(find "$apt_dir/fetched" -mmin -1440 2>/dev/null)" ]; then
		return 0
	fi
	cp "$work/sources.list" "$apt_dir/sources.list"
	# shellcheck disable=SC2086 # a list of words
	apt-get $apt_options update >"$work/apt.log" 2>&1 || {
		cat "$work/apt.log" >&2
		rm -f "$apt_dir/fetched"
		fail "could not fetch the package lists of $suites from $mirror"
	}
	touch "$apt_dir/fetched"
}

# The newest signed cloud kernel of a series; nothing when there is none.
package() {
	fetch_lists
	# shellcheck disable=SC2086
	apt-cache $apt_options pkgnames "linux-image-$1." | grep -E '^linux-image-[0-9][^ ]*-cloud-amd64$' | sort -V | tail -n 1
}

# Downloads a package, and those that newer kernels are split into, and keeps of them what is booted, the kernel
# and the veth module, unless they are there.
fetch() {
	[ ! -d "$cache/$1" ] || return 0
	mkdir "$work/download" "$work/kept"
	unpack "$1"
	for part in $(dpkg-deb -f "$work/download/$1"_*.deb Depends | tr ',' '\n' | sed -n 's/^ *\(linux-\(binary\|modules\)-[^ ]*\).*/\1/p'); do
		unpack "$part"
	done
	mv "$(find "$work/download/root" -name 'vmlinuz*' -type f)" "$work/kept/vmlinuz" || fail "no kernel in $1"
	module=$(find "$work/download/root" -name 'veth.ko*')
	case $module in
	"") fail "no module veth in $1" ;;
	*.xz) xz -dc "$module" >"$work/kept/veth.ko" ;;
	*) mv "$module" "$work/kept/veth.ko" ;;
	esac
	mv "$work/kept" "$cache/$1"
	rm -r "$work/download"
}

# Downloads and unpacks one package.
unpack() {
	# shellcheck disable=SC2086
	(cd "$work/download" && apt-get $apt_options download "$1" >log 2>&1) || {
		cat "$work/download/log" >&2
		fail "could not download $1"
	}
	dpkg-deb -x "$work/download/$1"_*.deb "$work/download/root"
}

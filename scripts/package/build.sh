#!/bin/sh
# Builds the Debian package into build/. Needs Go only. Argument: the version; without one it is that of
# the newest tag, or 0.0.0 before the first.
set -eu
cd "$(dirname "$0")/../.."

go=${GO:-go}
version=${1:-$(git describe --tags --abbrev=0 2>/dev/null || echo 0.0.0)}
VERSION=${version#v}
ARCH=$($go env GOARCH)
export VERSION ARCH

out=build/package
rm -rf "$out"
mkdir -p "$out"
CGO_ENABLED=0 $go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o "$out/headgate" ./cmd/headgate
"$out/headgate" man | gzip -9n >"$out/headgate.8.gz"
for shell in bash zsh fish; do
	"$out/headgate" completion "$shell" >"$out/completion.$shell"
done
$go tool -modfile=scripts/package/tools/go.mod nfpm package --config scripts/package/nfpm.yaml --packager deb --target build/

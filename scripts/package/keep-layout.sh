#!/bin/sh
# Keeps the sources of a release that is the last with its layout of the tables (ABI_SCHEMA), for the test that
# takes its data path over: testdata/released/layout-N.tar.gz. Run it when ABI_SCHEMA goes up.
# Argument: the commit of the release.
set -eu
cd "$(dirname "$0")/../.."
commit=$(git rev-parse --verify "${1:?the commit of a release}^{commit}")
layout=$(git show "$commit:bpf/abi.h" | sed -n 's/^#define ABI_SCHEMA \([0-9]*\).*/\1/p')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

git archive "$commit" go.mod go.sum cmd loader pkg | tar -x -C "$work"
find "$work" -name '*_test.go' -delete
find "$work" -depth -name testdata -exec rm -r {} +
rm -rf "$work/cmd/headgate/e2e" "$work/loader/dptest"
mkdir -p testdata/released
file=testdata/released/layout-$layout.tar.gz
# The same commit gives the same bytes.
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git show -s --format=%ct "$commit")" -cf - . | gzip -9n >"$file"
echo "$file: $(git show -s --format=%h "$commit"), $(wc -c <"$file") bytes"
${GO:-go} test ./loader -run OlderLayoutsAre -update

#!/bin/sh
# Makes a Debian package of this machine's architecture: program, ONNX Runtime's library, service,
# configuration, manual and completions. What goes where is in Cargo.toml, under package.metadata.deb.
#
# usage: make deb
#
# cargo-deb is built into the target folder at the first time. The package runs where the C library is
# not older than here: build it on the oldest release that is to have it.
set -eu
cd "$(dirname "$0")/../.."

cargo_deb_version=3.8.0
target=${CARGO_TARGET_DIR:-target}
tools=$target/tools/cargo-deb-$cargo_deb_version
made=$target/release/package
cargo=${CARGO:-cargo}

fail() {
    echo "deb: $*" >&2
    exit 1
}

for program in dpkg-deb dpkg-shlibdeps gzip; do
    command -v "$program" >/dev/null || fail "$program is missing: apt install dpkg-dev"
done
if [ ! -x "$tools/bin/cargo-deb" ]; then
    "$cargo" install --locked --version "$cargo_deb_version" --root "$tools" cargo-deb ||
        fail "cargo-deb $cargo_deb_version cannot be built into $tools"
fi
# The package has the library that the tests run against, not what this system may have.
tests/onnxruntime.sh --inside
"$cargo" build --release --locked --bin portent

# What the program says of itself.
rm -rf "$made"
mkdir -p "$made/completion"
"$target/release/portent" man "$made/man"
for shell in bash zsh fish; do
    "$target/release/portent" completion "$shell" >"$made/completion/$shell"
done
gzip -9 -n "$made"/man/*
gzip -9 -n -c .onnxruntime/onnxruntime/ThirdPartyNotices.txt >"$made/ThirdPartyNotices.txt.gz"

# Of before there may be one, which is not to be taken for this one.
rm -f "$target"/debian/portent_*.deb
"$tools/bin/cargo-deb" deb --quiet --no-build --locked
for package in "$target"/debian/portent_*.deb; do
    [ -f "$package" ] || fail "cargo-deb made no package"
    echo "deb: $package ($(dpkg-deb --field "$package" Version Architecture | sed 's/.*: //' | paste -s -d ' '))"
done

#!/bin/sh
# Puts ONNX Runtime's shared library into .onnxruntime/onnxruntime/capi, where Portent looks for it,
# unless ORT_DYLIB_PATH names one or the system has one. It comes out of the Python wheel, which
# holds the plain C library; nothing is installed into any Python. Safe to repeat; prints one line.
#
# usage: tests/onnxruntime.sh [--inside]     --inside: into the folder, whatever else there is
set -eu
cd "$(dirname "$0")/.."

version=1.32.0  # the one that the tests run against
oldest_minor=20 # Portent asks for the API of 1.20
into=.onnxruntime

fail() {
    echo "onnxruntime: $*" >&2
    exit 1
}

# library FOLDER: the library in it, if there is one.
library() {
    for file in "$1"/libonnxruntime.so* "$1"/libonnxruntime*.dylib; do
        if [ -f "$file" ]; then
            echo "$file"
            return
        fi
    done
}

# system_library: a library of the system that says in its name that it is new enough.
system_library() {
    for folder in /usr/lib /usr/local/lib /usr/lib/*-linux-gnu /usr/local/lib/*-linux-gnu /usr/lib64; do
        for file in "$folder"/libonnxruntime.so.1.* "$folder"/libonnxruntime.1.*.dylib; do
            [ -f "$file" ] || continue
            minor=$(basename "$file" | sed -n 's/^libonnxruntime\.\(so\.\)\{0,1\}1\.\([0-9][0-9]*\).*/\2/p')
            if [ -n "$minor" ] && [ "$minor" -ge "$oldest_minor" ]; then
                echo "$file"
                return
            fi
        done
    done
}

# platforms: pip's words for this machine, so that the wheel does not depend on the local Python's
# version; nothing for a machine that has no such word here.
platforms() {
    case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) echo "--platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64" ;;
    Linux-aarch64 | Linux-arm64) echo "--platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64" ;;
    Darwin-arm64) echo "--platform macosx_15_0_arm64" ;; # pip counts older systems in
    esac
}

inside=
[ "${1:-}" != --inside ] || inside=yes
if [ -n "${ORT_DYLIB_PATH:-}" ] && [ -z "$inside" ]; then
    [ -f "$ORT_DYLIB_PATH" ] || fail "ORT_DYLIB_PATH is $ORT_DYLIB_PATH, which is not a file"
    echo "onnxruntime: $ORT_DYLIB_PATH, by ORT_DYLIB_PATH"
    exit 0
fi
present=$(library $into/onnxruntime/capi)
case "$present" in
*"$version"*)
    echo "onnxruntime: $present is already there"
    exit 0
    ;;
esac
system=$(system_library)
if [ -n "$system" ] && [ -z "$inside" ]; then
    echo "onnxruntime: $system, of the system"
    exit 0
fi

python3 -m pip --version >/dev/null 2>&1 ||
    fail "python3 with pip is needed to fetch the library; install them, or set ORT_DYLIB_PATH to a libonnxruntime of version 1.$oldest_minor or newer"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
words=$(platforms)
[ -z "$words" ] || words="--python-version 3.12 $words"
# shellcheck disable=SC2086  # $words is a list of options
python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: $words \
    --target "$work/wheel" "onnxruntime==$version" >"$work/log" 2>&1 || {
    tail -n 3 "$work/log" >&2
    fail "pip could not fetch onnxruntime $version; set ORT_DYLIB_PATH to a libonnxruntime of version 1.$oldest_minor or newer instead"
}
fetched=$(library "$work/wheel/onnxruntime/capi")
[ -n "$fetched" ] || fail "the wheel of onnxruntime $version for $(uname -s) $(uname -m) holds no C library"

# The library and its licence; the Python code around them is not needed.
rm -rf "$into"
mkdir -p $into/onnxruntime/capi
for file in "$work"/wheel/onnxruntime/LICENSE "$work"/wheel/onnxruntime/ThirdPartyNotices.txt; do
    [ ! -f "$file" ] || mv "$file" $into/onnxruntime/
done
mv "$fetched" $into/onnxruntime/capi/
echo "onnxruntime: $version is now in $into"

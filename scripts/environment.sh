# Sourced by the scripts beside it: a Python environment of the checkout's own, and what the machine lacks for it.
# shellcheck shell=bash

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
TASK="$(basename "$0")"

say() { printf '%s: %s\n' "$TASK" "$*"; }

fail() { # fail WHAT TRY
    printf 'error: %s\ntry: %s\n' "$1" "$2" >&2
    exit 1
}

# Commands that become root; empty where we are root, "none" where we cannot.
root_command() {
    if [ "$(id -u)" = 0 ]; then return; fi
    if sudo -n true 2>/dev/null; then echo "sudo -n"; else echo none; fi
}

# install_packages PACKAGE...: install Debian packages, where that may be done without asking anybody.
install_packages() {
    local root
    root="$(root_command)"
    if [ "$root" = none ] || ! command -v apt-get >/dev/null; then return 1; fi
    say "installing $* (Debian packages)"
    if ! $root apt-get update -qq >/dev/null; then return 1; fi
    DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1
}

# The newest Python that every dependency has wheels for, or the one that $EDGE_PYTHON names.
find_python() {
    local candidate
    for candidate in ${EDGE_PYTHON:-python3.13 python3.12 python3.11 python3.14 python3.10 python3 python}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# need_compiler PYTHON: the tests want annoy, which is compiled.
need_compiler() {
    local python="$1" missing=""
    c++ --version >/dev/null 2>&1 || g++ --version >/dev/null 2>&1 || clang++ --version >/dev/null 2>&1 || missing="g++"
    "$python" -c 'import pathlib, sys, sysconfig
sys.exit(not (pathlib.Path(sysconfig.get_path("include")) / "Python.h").is_file())' || missing="$missing python3-dev"
    if [ -z "$missing" ]; then return; fi
    if [ "${EDGE_INSTALL_PACKAGES:-no}" = yes ] && install_packages $missing; then return; fi
    fail "compiling annoy needs a C++ compiler and Python's headers; this machine lacks: $missing" \
        "sudo apt-get install $missing (Fedora: dnf install gcc-c++ python3-devel; Alpine: apk add g++ python3-dev)"
}

# make_environment FOLDER LOCK: a virtual environment with what scripts/locks/LOCK.txt pins, and this checkout installed
# in place; [EXTRA] instead of LOCK takes the versions that pyproject.toml allows. A second call finds it as it is.
# Sets PYTHON.
make_environment() {
    local folder="$1" wanted="$2" base="" stamp log
    PYTHON="$folder/bin/python"
    log="$folder/install.log"
    if [ -x "$PYTHON" ]; then base="$(EDGE_PYTHON="$PYTHON" find_python)" || fail \
        "$folder was made by $("$PYTHON" --version), and 3.10 to 3.14 is needed" "remove that folder"; fi
    [ -n "$base" ] || base="$(find_python)" || fail "Python 3.10 to 3.14 is needed, and none was found" \
        "sudo apt-get install python3 python3-venv, or set EDGE_PYTHON to one"
    stamp="$("$base" --version) $ROOT $wanted $(cat "$ROOT/pyproject.toml" "$ROOT"/scripts/locks/*.txt | cksum)"
    if [ -x "$PYTHON" ] && [ "$(cat "$folder/stamp" 2>/dev/null)" = "$stamp" ]; then return; fi

    [ "$wanted" != test ] || need_compiler "$base"
    say "making the environment $folder with $("$base" --version); the first time takes a minute or two"
    [ -x "$PYTHON" ] || make_folder "$base" "$folder"
    install_wanted "$wanted" >"$log" 2>&1 &
    if ! wait_showing $! "$log"; then
        tail -n 15 "$log" >&2
        fail "installing the Python packages failed; the whole story is in $log" \
            "check the network, then run this again"
    fi
    printf '%s\n' "$stamp" >"$folder/stamp"
}

# install_wanted LOCK: what the lock pins, each file by its hash, then this checkout.
install_wanted() {
    local pip=("$PYTHON" -m pip install --disable-pip-version-check --progress-bar off)
    case "$1" in \[*) "${pip[@]}" -e "$ROOT$1"; return ;; esac
    "${pip[@]}" --require-hashes -r "$ROOT/scripts/locks/$1.txt" && "${pip[@]}" --no-deps --no-build-isolation -e "$ROOT" || return
    # compiled where that is possible; without it large collections are searched face by face
    [ "$1" = test ] || "${pip[@]}" --require-hashes -r "$ROOT/scripts/locks/annoy.txt" || echo "annoy was not compiled"
}

# make_folder PYTHON FOLDER: an empty virtual environment, whole or not at all.
make_folder() {
    if "$1" -m venv "$2" >/dev/null 2>&1; then return; fi
    rm -rf "$2"
    if [ "${EDGE_INSTALL_PACKAGES:-no}" = yes ] && install_packages python3-venv && "$1" -m venv "$2"; then return; fi
    rm -rf "$2"
    fail "$1 cannot make virtual environments: its venv module is missing or broken" \
        "sudo apt-get install python3-venv, then run this again"
}

# wait_showing PROCESS LOG: wait for an installation, telling now and then which package it is at.
wait_showing() {
    local last="" now
    while kill -0 "$1" 2>/dev/null; do
        sleep 2
        now="$(grep -oE '^ *(Collecting [A-Za-z0-9_.-]+|Building wheel for [A-Za-z0-9_.-]+|Installing collected)' "$2" | tail -n 1 | sed 's/^ *//')"
        if [ -n "$now" ] && [ "$now" != "$last" ]; then say "  ${now/Installing collected/Installing all of them}"; fi
        last="$now"
    done
    wait "$1"
}

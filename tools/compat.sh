# shellcheck shell=bash
# What pglock compiles with: sets of features, versions of Rust, versions of dependencies. Sourced by ./dev.

# The features of pglock, as its Cargo.toml has them.
features() {
    metadata | jq -r '.features | keys[] | select(. != "default")'
}

# What cargo knows of the package pglock.
metadata() {
    need_jq
    cargo metadata --locked --no-deps --format-version 1 | jq '.packages[] | select(.name == "pglock")'
}

# The features that take long to compile, which a pair with each other one would do for many minutes.
drivers() {
    features | grep -xE 'sqlx|sea-orm|diesel|diesel-async'
}

# All pairs of the lines of standard input.
pairs() {
    local all first second
    all=$(cat)
    for first in $all; do
        for second in $all; do
            if [[ $first < $second ]]; then echo "$first,$second"; fi
        done
    done
}

# Each feature alone; each pair of drivers, and of others; each driver with all that are none.
sets_of_features() {
    local others driver
    others=$(features | grep -vxF "$(drivers)")
    features
    drivers | pairs
    pairs <<<"$others"
    for driver in $(drivers); do
        paste -sd , - <<<"$driver"$'\n'"$others"
    done
}

# None and all are in `./dev check`.
check_features() {
    local sets set
    sets=$(sets_of_features)
    for set in $sets; do
        cargo clippy -q --locked -p pglock --no-default-features --features "$set" -- -D warnings ||
            die "with --no-default-features --features $set, pglock does not compile without warnings"
    done
    say "pglock compiles with each of $(wc -w <<<"$sets") sets of features"
}

# The `rust-version` of Cargo.toml is at least what the dependencies ask for; and where that Rust is installed, pglock
# compiles on it. sqlx and sea-orm are left out: they ask for a newer one, as Cargo.toml says at the features.
check_rust_version() {
    local declared dependencies newer set
    declared=$(metadata | jq -r .rust_version)
    set=$(features | grep -vxE 'sqlx|sea-orm' | paste -sd , -)
    dependencies=$(cargo tree --locked -p pglock -e normal,build --prefix none --no-default-features --features "$set" --target all)
    newer=$(cargo metadata --locked --format-version 1 | jq -r --arg declared "$declared" --arg dependencies "$dependencies" '
        def number: split(".") | map(tonumber);
        ($dependencies | split("\n") | map(split(" ")[:2] | join(" "))) as $used
        | .packages[]
        | select(.rust_version != null and ("\(.name) v\(.version)" | IN($used[])))
        | select((.rust_version | number[:2]) > ($declared | number[:2]))
        | "\(.name) \(.version) needs Rust \(.rust_version)"' | paste -sd , -)
    [ -z "$newer" ] || die "rust-version in Cargo.toml is $declared, which is too low: $newer"
    say "no dependency needs a newer Rust than $declared"
    if have rustup && rustup toolchain list | grep -q "^$declared"; then
        cargo "+$declared" check --locked -p pglock --no-default-features --features "$set"
    else
        say "not compiled with Rust $declared, which is not installed (rustup toolchain install $declared)"
    fi
}

# pglock compiles with the lowest versions that its Cargo.toml allows, in a copy: Cargo.lock stays as it is. The copy
# has no tests, whose dependencies would raise the versions.
check_minimal_versions() {
    local copy crate
    copy=$(tools_folder)/minimal_versions
    rm -rf "$copy"
    mkdir -p "$copy"
    tar --exclude=./target --exclude=./.git --exclude=./Cargo.lock -cf - . | tar -xf - -C "$copy"
    sed -i.bak 's/^members = .*/members = ["pglock", "pglock-macros"]/' "$copy/Cargo.toml"
    for crate in pglock pglock-macros; do
        awk '/^\[/ { dev = $0 == "[dev-dependencies]" } !dev' "$crate/Cargo.toml" >"$copy/$crate/Cargo.toml"
    done
    # Only this step is unstable in cargo.
    (cd "$copy" && RUSTC_BOOTSTRAP=1 cargo update -q -Z direct-minimal-versions)
    (cd "$copy" && CARGO_TARGET_DIR=$copy/../.. cargo check --locked -p pglock --all-features)
}

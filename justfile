# What a change has to pass, and each part of it alone. `just check` is what .ci/run runs.

set shell := ["bash", "-euo", "pipefail", "-c"]

step := quote(just_executable()) + " --justfile " + quote(justfile()) + " _step"

# List the recipes
default:
    @{{ quote(just_executable()) }} --justfile {{ quote(justfile()) }} --list

# Minutes are for two cores and an empty target directory, each with room for a noisy machine. Together the steps take
# some 45; .ci/run fails where everything takes more than 60, or 75 where it has to build Garage.

# Everything below, each step within so many minutes
check:
    @{{ step }} 1 fmt
    @{{ step }} 5 lint
    @{{ step }} 24 test
    @{{ step }} 18 interop
    @{{ step }} 1 examples
    @{{ step }} 2 doc
    @{{ step }} 1 deny
    @{{ step }} 2 bench
    @{{ step }} 5 fuzz

# The source is formatted
fmt:
    cargo fmt --all --check

# The lints of Cargo.toml and clippy.toml, in every target, and in the smallest builds
lint:
    cargo clippy --workspace --all-targets --all-features -- --deny warnings
    cargo clippy --package registry-store --no-default-features -- --deny warnings
    cargo clippy --package registry-store --no-default-features --features s3 -- --deny warnings
    cargo clippy --package registry-http --no-default-features -- --deny warnings
    cargo clippy --package registry-http --no-default-features --features serve -- --deny warnings
    cargo clippy --package registry-http --no-default-features --features auth -- --deny warnings
    cargo clippy --package registry-http --no-default-features --features notifications -- --deny warnings

# Everything that needs no other program
test:
    cargo test --workspace
    cargo test --package registry-tests --features otel --test binary -- traces::

# With programs no one here wrote, the contract and the store on their S3 among it; a missing one fails. The image is
# built of a static program, which takes two minutes
interop:
    cargo test --package registry-tests --features peers --test interop
    cargo test --package registry-tests --features peers --test backends --test store -- garage:: moto::

# Those of `scale` weigh what is held, by a switch of glibc's allocator; the static program has another one.

# The tests of the program, with that which needs no library of the system
static:
    PROGRAM_TARGET=$(uname -m)-unknown-linux-musl cargo test --package registry-tests --test binary -- --skip scale::

# Kill replicas so many times while images are pushed through a load balancer
replicas rounds="100":
    REPLICA_ROUNDS={{ rounds }} cargo test --package registry-tests --features peers --test interop -- \
        --nocapture --test-threads=1 the_death_of_replicas

# All that a crash may leave, on a filesystem and in a bucket; `test` goes through less of it
crash:
    CRASH=full cargo test --package registry-tests --test crash
    CRASH_S3=full cargo test --release --package registry-tests --test crash_s3 -- --nocapture

# Every call of every operation fails in every way, is dropped at every await, and meets every other; more histories
faults:
    FAULTS=each cargo test --package registry-tests --test store --test leaks -- \
        --nocapture faults:: cancelling:: meeting:: what_failed wherever_a_call_fails
    HISTORIES=1000 cargo test --package registry-tests --test concurrency -- --nocapture memory::
    HISTORIES=50 cargo test --package registry-tests --test concurrency -- --nocapture stores:: processes::

# Kill the program so many times while images are pushed to it
kill rounds="1000":
    KILL_ROUNDS={{ rounds }} cargo test --package registry-tests --test kill -- --nocapture

# Cut the power so many times on each of ext4, xfs and btrfs, in either of two ways; as root, with loop devices
powercut cuts="100":
    POWER_CUTS={{ cuts }} cargo test --package registry-tests --features powercut --test powercut -- --nocapture

# The protocols that have no lock, in larger configurations than `test` goes through
protocols:
    PROTOCOLS=large cargo test --package registry-tests --test protocols -- --nocapture

# Every fuzz target for its share of so many minutes; a find is printed, and kept in fuzz/artifacts
fuzz minutes="2":
    #!/usr/bin/env bash
    set -euo pipefail
    # cargo-fuzz asks the compiler for what only nightly gives otherwise.
    export RUSTC_BOOTSTRAP=1
    cd fuzz
    cargo fuzz build --sanitizer none
    mapfile -t targets < <(cargo fuzz list)
    found=$(mktemp -d)
    trap 'rm -rf "$found"' EXIT
    seconds=$(({{ minutes }} * 60 / ${#targets[@]}))
    for target in "${targets[@]}"; do
        mkdir "$found/$target"
        if ! cargo fuzz run --sanitizer none "$target" "$found/$target" "corpus/$target" -- \
            -max_total_time="$seconds" -timeout=20 -max_len=2048 >"$found/log" 2>&1; then
            tail -n 80 "$found/log" >&2
            for artifact in artifacts/"$target"/*; do
                echo "$artifact:"
                base64 "$artifact"
            done >&2
            exit 1
        fi
        echo "$target: $(grep -a '^Done ' "$found/log")"
    done

# The examples compile
examples:
    cargo build --workspace --examples

# The documentation has no dead links
doc:
    RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --all-features

# Not `advisories`: their database would have to be fetched.

# Dependencies are as deny.toml allows
deny:
    cargo deny --all-features check bans licenses sources

# The benches compile; figures are for a quiet machine
bench:
    cargo bench --package registry-benches --no-run

# Start the registry
run *flags:
    cargo run --release --bin registry -- {{ flags }}

# One recipe under a heading, with the time it took; it fails if that is more than `minutes`
_step minutes recipe:
    #!/usr/bin/env bash
    set -euo pipefail
    printf '\n== %s (at most %s min)\n' {{ recipe }} {{ minutes }}
    # At a terminal the interrupt key has to reach what runs below.
    foreground=()
    if [ -t 0 ]; then foreground=(--foreground); fi
    status=0
    timeout "${foreground[@]}" --kill-after=10 {{ minutes }}m \
        {{ quote(just_executable()) }} --justfile {{ quote(justfile()) }} {{ recipe }} || status=$?
    tenths=$((SECONDS / 6))
    printf '== %s: %s.%s min\n' {{ recipe }} $((tenths / 10)) $((tenths % 10))
    case $status in
        0) ;;
        124 | 137) echo "== {{ recipe }}: expected at most {{ minutes }} min" >&2; exit 1 ;;
        *) echo "== {{ recipe }}: failed" >&2; exit 1 ;;
    esac

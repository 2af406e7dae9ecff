# Bash as somebody who types the commands of a page has it: `cargo run` and `registry serve` stay in one terminal, and
# the next command is typed into another once the registry answers. Here one shell does both.

cargo() {
    case $1 in
        # It is what runs this.
        test) ;;
        # The program is built.
        run) serving ;;
    esac
}

registry() {
    case $1 in
        serve) serving "$@" ;;
        *) command registry "$@" ;;
    esac
}

serving() {
    local deadline=$((SECONDS + 60))
    command registry "$@" >>registry.log 2>&1 &
    until command curl --silent --output /dev/null http://127.0.0.1:5000/; do
        kill -0 $! 2>/dev/null && continue
        # A server of S3 makes its bucket a moment after it has started; a person would try again, too.
        if [ -z "${REGISTRY_STORAGE_S3_BUCKET:-}" ] || [ $SECONDS -ge $deadline ]; then
            cat registry.log
            return 1
        fi
        command registry "$@" >>registry.log 2>&1 &
    done
}

# What is installed is enough.
pip3() { :; }

# What was started a line before takes a moment.
curl() { command curl --fail --silent --show-error --retry 60 --retry-delay 1 --retry-connrefused "$@"; }

# A line behind which the page says `# is refused`.
refused() {
    if "$@"; then
        echo "expected that it is refused: $*"
        return 1
    fi
}

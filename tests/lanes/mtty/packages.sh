# Debian's kernel packages, none of them installed: they come through an apt configuration of their own and are only unpacked. To be sourced;
# needs cache (a folder).
#
#   packages_update             fetches the package lists; apt-cache and apt-get of this process are about those packages from then on
#   packages_version NAME       the newest version of a package; nothing: there is none
#   packages_unpack INTO NAME…  fetches packages (NAME=VERSION) and unpacks them into the folder INTO
#   unavailable WHY…            ends the script with exit status 3: the packages cannot be had

series=6.12 release=bookworm # of bookworm-security, built with bookworm's compiler; mtty can migrate since 6.8

unavailable() { echo "$(basename "$0"): $*" >&2; exit 3; }

packages_update() {
    local apt=$cache/apt
    mkdir -p "$apt/lists/partial" "$apt/archives/partial"
    : >"$apt/status"
    cat >"$apt/sources.list" <<SOURCES
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian-security $release-security main
SOURCES
    cat >"$apt/apt.conf" <<CONF
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt";
Dir::Cache::archives "$apt/archives";
APT::Architecture "amd64";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "2";
CONF
    export APT_CONFIG=$apt/apt.conf
    apt-get update -qq >&2 || unavailable "the package lists of $release-security cannot be fetched"
}

packages_version() { { apt-cache show "$1" 2>/dev/null || true; } | sed -n 's/^Version: //p' | sort -V | tail -1; }

packages_unpack() {
    local into=$1 deb
    shift
    mkdir -p "$into" "$into.debs"
    (cd "$into.debs" && apt-get download -qq "$@" >&2) || unavailable "the packages cannot be fetched: $*"
    for deb in "$into.debs"/*.deb; do dpkg-deb -x "$deb" "$into"; done
    rm -rf "$into.debs"
}

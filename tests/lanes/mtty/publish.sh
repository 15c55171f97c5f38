#!/usr/bin/env bash
# publish.sh CACHE [TEST]: mc-node, mc-guest and migctl with the runtime they need, compiled ahead of time, in CACHE/app; and the program of the test
# project MigrationCluster.TEST, which runs on their runtime and their assemblies. Prints that folder. Not
# trimmed: Kestrel, Dapper and the JSON of configuration files find their types by reflection. Builds in CACHE/build, so that nothing of the repository changes.
# Sources that the cache's programs were made of already are not built again.
set -euo pipefail
mkdir -p "$1"
cache=$(cd "$1" && pwd) test=${2:-}
cd "$(dirname "$0")/../../.."

sources_of() { # FOLDER…: what programs are made of
    { dotnet --version; find "$@" Directory.*.props global.json tests/lanes/mtty/publish.sh -type f -print0 | sort -z | xargs -0 sha256sum; } | sha256sum
}
publish() { # PROJECT INTO
    dotnet publish "$1" -c Release -r linux-x64 --self-contained -o "$2" -v quiet --nologo \
        -p:PublishReadyToRun=true -p:DebugType=none -p:ArtifactsPath="$cache/build" -p:RestoreLockedMode=false \
        -p:RestorePackagesWithLockFile=false -p:NuGetLockFilePath="$cache/build/no.lock.json" </dev/null >&2
}

sources=$(sources_of src)
if [ "$(cat "$cache/app.sources" 2>/dev/null)" != "$sources" ]; then
    rm -f "$cache/app.sources"
    for project in Node Guest Cli; do publish "src/MigrationCluster.$project" "$cache/app"; done
    echo "$sources" >"$cache/app.sources"
fi
if [ "$test" ]; then
    sources=$(sources_of src "tests/MigrationCluster.$test")
    if [ "$(cat "$cache/$test.sources" 2>/dev/null)" != "$sources" ]; then
        rm -f "$cache/$test.sources"
        publish "tests/MigrationCluster.$test" "$cache/build/$test"
        cp "$cache/build/$test/MigrationCluster.$test"{,.dll,.deps.json,.runtimeconfig.json} "$cache/app/"
        echo "$sources" >"$cache/$test.sources"
    fi
fi
echo "$cache/app"

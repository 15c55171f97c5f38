#!/usr/bin/env bash
# publish.sh CACHE: mc-node, mc-guest and migctl with the runtime they need, compiled ahead of time, in CACHE/app. Prints that folder. Not
# trimmed: Kestrel, Dapper and the JSON of the wire find their types by reflection. Builds in CACHE/build, so that nothing of the repository changes.
# Sources that the cache's programs were made of already are not built again.
set -euo pipefail
mkdir -p "$1"
cache=$(cd "$1" && pwd)
cd "$(dirname "$0")/../../.."
sources=$({ dotnet --version; find src Directory.*.props global.json tests/lanes/mtty/publish.sh -type f -print0 | sort -z | xargs -0 sha256sum; } | sha256sum)
if [ "$(cat "$cache/app.sources" 2>/dev/null)" != "$sources" ]; then
    rm -f "$cache/app.sources"
    for project in Node Guest Cli; do
        dotnet publish "src/MigrationCluster.$project" -c Release -r linux-x64 --self-contained -o "$cache/app" -v quiet --nologo \
            -p:PublishReadyToRun=true -p:DebugType=none -p:ArtifactsPath="$cache/build" -p:RestoreLockedMode=false \
            -p:RestorePackagesWithLockFile=false -p:NuGetLockFilePath="$cache/build/no.lock.json" </dev/null >&2
    done
    echo "$sources" >"$cache/app.sources"
fi
echo "$cache/app"

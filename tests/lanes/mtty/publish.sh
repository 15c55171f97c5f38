#!/usr/bin/env bash
# publish.sh ARTIFACTS APP [TEST]: mc-node and mc-guest as native programs, with the libraries they bring, in the folder APP; and the program of the
# test project MigrationCluster.TEST, native too. Builds in the folder ARTIFACTS, and so nothing of the repository changes; what is built there
# already is not built again.
set -euo pipefail
artifacts=$(realpath -m "$1") app=$2 test=${3:-}
cd "$(dirname "$0")/../../.."

dotnet build src/MigrationCluster.Cli -v quiet --nologo -p:ArtifactsPath="$artifacts" </dev/null >&2
programs=("$artifacts/native/MigrationCluster.Node/program" "$artifacts/native/MigrationCluster.Guest/program")
if [ "$test" ]; then
    program=$artifacts/native/MigrationCluster.$test/program
    sources=$({ dotnet --version; find src "tests/MigrationCluster.$test" Directory.*.props -type f -print0 | sort -z | xargs -0 sha256sum; } | sha256sum)
    if [ "$(cat "$program/sources" 2>/dev/null)" != "$sources" ]; then
        dotnet publish "tests/MigrationCluster.$test" -c Release -r linux-x64 -o "$program" -v quiet --nologo \
            -p:PublishAot=true -p:DebugType=none -p:NativeDebugSymbols=false -p:ArtifactsPath="$artifacts" -p:RestoreLockedMode=false \
            -p:RestorePackagesWithLockFile=false -p:NuGetLockFilePath="$artifacts/no.lock.json" </dev/null >&2
        echo "$sources" >"$program/sources"
    fi
    programs+=("$program")
fi
rm -rf "$app"
mkdir "$app"
for program in "${programs[@]}"; do cp -p "$program"/* "$app/"; done # or there is none: what said so is above

#!/usr/bin/env bash
# Builds the three programs, compiled ahead of time (ReadyToRun), into DIR (default artifacts/starlight). Does nothing if they were built there from the same sources.
#
# The programs share most assemblies, and compiling those ahead of time is most of the work. So the proxy, which needs nearly all of them, is published in full;
# of the daemon and the command line only what is not there yet is compiled and copied.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=${1:-$PWD/artifacts/starlight}
case $(uname -m) in
  x86_64) rid=linux-x64 ;;
  aarch64) rid=linux-arm64 ;;
  *) echo "build: no runtime identifier is known for $(uname -m)" >&2; exit 1 ;;
esac

# Contents, not times: a fresh checkout of the same sources is the same. The revision counts too, because 'version' shows it.
sources() {
  {
    echo "$rid $(dotnet --version) $(git rev-parse HEAD 2>/dev/null || true)"
    find src protos scripts/build.sh scripts/publish.targets Directory.* global.json -type f -not -path '*/bin/*' -not -path '*/obj/*' -print0 | sort -z | xargs -0 sha256sum
  } | sha256sum
}
stamp=$(sources)
if [ "$(cat "$out/.sources" 2>/dev/null)" = "$stamp" ]; then
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
publish() { # PROJECT DIRECTORY [ARGUMENT...]
  local project=$1 directory=$2
  shift 2
  if ! dotnet publish "src/Presentation.$project" -c Release -r "$rid" --self-contained false -p:PublishReadyToRun=true -o "$directory" --nologo -v quiet "$@" >"$work/log" 2>&1; then
    cat "$work/log" >&2
    exit 1
  fi
}
publish Proxy "$work/all"
for project in Worker Cli; do
  publish "$project" "$work/$project" -p:CustomAfterDirectoryBuildTargets="$PWD/scripts/publish.targets" -p:CompiledAlready="$work/all"
  cp -an "$work/$project/." "$work/all/"
done
echo "$stamp" >"$work/all/.sources"
mkdir -p "$(dirname "$out")"
rm -rf "$out"
mv "$work/all" "$out"

#!/usr/bin/env bash
# Builds the three programs, compiled ahead of time (ReadyToRun), into DIR (default artifacts/starlight).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=${1:-$PWD/artifacts/starlight}
case $(uname -m) in
  x86_64) rid=linux-x64 ;;
  aarch64) rid=linux-arm64 ;;
  *) echo "build: no runtime identifier is known for $(uname -m)" >&2; exit 1 ;;
esac
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for project in Proxy Worker Cli; do
  if ! dotnet publish "src/Presentation.$project" -c Release -r "$rid" --self-contained false -p:PublishReadyToRun=true -o "$out" --nologo -v quiet >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
  fi
done

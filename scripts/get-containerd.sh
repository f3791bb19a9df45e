#!/usr/bin/env bash
# Fetches containerd, its shim and ctr of another Debian suite into a directory, for tests against other versions. Installs nothing: the system's containerd stays, and runc is the system's.
#
#   scripts/get-containerd.sh trixie /opt/containerd-1.7
#   scripts/get-containerd.sh sid /opt/containerd-2
set -euo pipefail
if [ $# -ne 2 ]; then
  echo "usage: $0 SUITE DIRECTORY" >&2
  exit 2
fi
suite=$1
directory=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{state,lists/partial,cache/archives/partial,packages}
: >"$work/status"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null | head -n 1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:-http://deb.debian.org/debian} $suite main" >"$work/sources.list"

# An apt of its own, which knows neither the system's suites nor what is installed.
apt=(
  -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State=$work/state" -o "Dir::State::status=$work/status"
  -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root
)
apt-get "${apt[@]}" update >&2
(cd "$work/packages" && apt-get "${apt[@]}" download containerd >&2)
dpkg-deb -x "$work"/packages/containerd_*.deb "$work/root"
mkdir -p "$directory"
install -m 755 "$work"/root/usr/bin/{containerd,containerd-shim-runc-v2,ctr} "$directory/"
"$directory/containerd" --version

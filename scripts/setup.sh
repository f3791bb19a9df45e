#!/usr/bin/env bash
# Installs what the demo and the tests need on Debian 12: system packages and, where it is absent, the .NET 10 SDK. Run as root; may be run again.
set -euo pipefail

packages=(
  containerd runc docker-registry fuse3 erofs-utils skopeo umoci debootstrap stargz-snapshotter
  postgresql libzstd1 zstd attr libcap2-bin util-linux iproute2 jq curl ca-certificates xz-utils redis-tools python3 git procps mount xfsprogs
)

say() { printf '\n== %s\n' "$*" >&2; }

if [ "$(id -u)" -ne 0 ]; then
  echo "setup: run as root: containerd, mounts and package installation need it" >&2
  exit 1
fi

missing=()
for p in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
done
if [ "${#missing[@]}" -gt 0 ]; then
  say "installing: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # Packages must not start services of their own: the demo and the tests start private ones.
  policy=/usr/sbin/policy-rc.d
  made_policy=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
    made_policy=1
  fi
  trap '[ -z "$made_policy" ] || rm -f "$policy"' EXIT
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
fi

sdk_ok() { command -v dotnet >/dev/null 2>&1 && dotnet --list-sdks 2>/dev/null | grep -q '^10\.'; }
use_local_sdk() {
  ln -sf /usr/local/share/dotnet/dotnet /usr/local/bin/dotnet
  # where our programs' own executables look for the runtime
  mkdir -p /etc/dotnet
  [ -e /etc/dotnet/install_location ] || echo /usr/local/share/dotnet >/etc/dotnet/install_location
}
if ! sdk_ok && [ -x /usr/local/share/dotnet/dotnet ]; then
  use_local_sdk
fi
if ! sdk_ok; then
  say "installing the .NET 10 SDK"
  if apt-get install -y -qq dotnet-sdk-10.0 >&2 2>/dev/null; then
    :
  else
    installer=$(mktemp)
    if curl -fsSL --retry 3 https://dot.net/v1/dotnet-install.sh -o "$installer"; then
      bash "$installer" --channel 10.0 --install-dir /usr/local/share/dotnet >&2
      use_local_sdk
      # the SDK's native parts on a bare machine
      apt-get install -y -qq --no-install-recommends libicu72 libssl3 libstdc++6 zlib1g >&2
    fi
    rm -f "$installer"
  fi
fi
if ! sdk_ok; then
  cat >&2 <<'MSG'
setup: the .NET 10 SDK is missing and could not be installed. Install it from https://dotnet.microsoft.com/download/dotnet/10.0
       (or: curl -fsSL https://dot.net/v1/dotnet-install.sh | bash -s -- --channel 10.0 --install-dir /usr/local/share/dotnet;
            ln -s /usr/local/share/dotnet/dotnet /usr/local/bin/dotnet), then run this command again.
MSG
  exit 1
fi

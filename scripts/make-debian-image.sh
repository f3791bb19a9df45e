#!/usr/bin/env bash
# Builds a real server image from Debian packages as an OCI layout: three layers (distribution, server, configuration), like an ordinary Dockerfile's.
#
#   make-debian-image.sh LAYOUT TAG old|new
#
# old: the point release alone. new: with the security suite, so that the server, libssl and others differ, as in a real rebuild.
# The server is redis; the result is kept in LAYOUT and reused when it is there already.
set -euo pipefail

layout=$1 tag=$2 age=$3
suite=bookworm
case $age in old | new) ;; *) echo "make-debian-image: '$age' is neither old nor new" >&2; exit 2 ;; esac
if umoci stat --image "$layout:$tag" >/dev/null 2>&1; then
  exit 0
fi

mkdir -p "$(dirname "$layout")"
exec 9>"$(dirname "$layout")/.lock"
flock 9
if umoci stat --image "$layout:$tag" >/dev/null 2>&1; then
  exit 0
fi

repo() { apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 2>/dev/null | awk -v r="$1" '$2 == r { print $1; exit }'; }
mirror=$(repo "$suite")
security=$(repo "$suite-security")
mirror=${mirror:-http://deb.debian.org/debian/}
security=${security:-http://deb.debian.org/debian-security/}

work=$(mktemp -d "${TMPDIR:-/tmp}/starlight-image.XXXXXX")
bundle=$work/bundle
root=$bundle/rootfs
cleanup() {
  umount "$root/proc" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

[ -e "$layout/index.json" ] || umoci init --layout "$layout"
umoci new --image "$layout:$tag.part"
umoci unpack --image "$layout:$tag.part" "$bundle" >/dev/null 2>&1

in_root() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$root" "$@" 9>&-; }
# no caches, logs or clocks in layers: they would differ for no reason
tidy() {
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*.log "$root"/var/log/apt "$root"/var/cache/ldconfig/*
}
layer() {
  tidy
  umoci repack --refresh-bundle --image "$layout:$tag.part" --history.created_by "$1" "$bundle" >/dev/null 2>&1
}

# 1. the distribution
debootstrap --variant=minbase --include=ca-certificates "$suite" "$work/base" "$mirror" >"$work/log" 2>&1 9>&- || { tail -5 "$work/log" >&2; exit 1; }
cp -a "$work/base/." "$root/"
rm -rf "$work/base"
printf 'deb %s %s main\n' "$mirror" "$suite" >"$root/etc/apt/sources.list"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 0755 "$root/usr/sbin/policy-rc.d"
if [ "$age" = new ]; then
  printf 'deb %s %s-security main\n' "$security" "$suite" >>"$root/etc/apt/sources.list"
fi
cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
mount -t proc proc "$root/proc"
in_root apt-get update -qq >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; exit 1; }
[ "$age" = old ] || in_root apt-get dist-upgrade -y -qq >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; exit 1; }
umount "$root/proc"
layer "debootstrap $suite ($age)"

# 2. the server
mount -t proc proc "$root/proc"
in_root apt-get update -qq >"$work/log" 2>&1
in_root apt-get install -y -qq --no-install-recommends redis-server redis-tools >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; exit 1; }
umount "$root/proc"
layer "apt-get install redis-server"

# 3. configuration
mkdir -p "$root/etc/starlight-demo" "$root/data"
cat >"$root/etc/starlight-demo/redis.conf" <<'CONF'
bind 127.0.0.1
protected-mode no
save ""
daemonize no
dir /data
CONF
cat >"$root/usr/local/bin/start-redis" <<'SH'
#!/bin/sh
exec redis-server /etc/starlight-demo/redis.conf --port "${REDIS_PORT:-6379}" "$@"
SH
chmod 0755 "$root/usr/local/bin/start-redis"
printf 'nameserver 127.0.0.1\n' >"$root/etc/resolv.conf"
layer "configure"

umoci config --image "$layout:$tag.part" --tag "$tag" \
  --config.entrypoint /usr/local/bin/start-redis --config.env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --architecture "$(dpkg --print-architecture)" --os linux
umoci rm --image "$layout:$tag.part" >/dev/null 2>&1 || true
umoci gc --layout "$layout" >/dev/null 2>&1

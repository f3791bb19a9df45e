# Shared by demo.sh and test.sh: a private root below which everything is started and mounted, and its removal. Source it.
# Nothing is ever looked up by name alone: what is ours carries the root's path in its environment, or has it as the source of its root filesystem.

# make_root NAME: creates $STARLIGHT_ROOT and exports it with TMPDIR, so that every process started from here carries the mark in its environment.
make_root() {
  STARLIGHT_ROOT=$(mktemp -d "${STARLIGHT_TMP:-/tmp}/starlight-$1.XXXXXX")
  mkdir -p "$STARLIGHT_ROOT/tmp"
  chmod 0711 "$STARLIGHT_ROOT" "$STARLIGHT_ROOT/tmp" # servers that refuse to run as root (Postgres) have directories of their own below
  export STARLIGHT_ROOT TMPDIR=$STARLIGHT_ROOT/tmp
}

# Processes of ours: the mark in the environment; or, for containers, which have an environment of their own, a root filesystem mounted from below our root.
our_processes() {
  local directory pid own_namespace
  own_namespace=$(readlink /proc/$$/ns/mnt)
  for directory in /proc/[0-9]*; do
    pid=${directory#/proc/}
    [ "$pid" != $$ ] && [ "$pid" != "$BASHPID" ] || continue
    if grep -qzxF "STARLIGHT_ROOT=$STARLIGHT_ROOT" "$directory/environ" 2>/dev/null; then
      echo "$pid"
    elif [ "$(readlink "$directory/ns/mnt" 2>/dev/null)" != "$own_namespace" ] &&
      awk -v r="$STARLIGHT_ROOT/" '$5 == "/" && index($0, r) { found = 1 } END { exit !found }' "$directory/mountinfo" 2>/dev/null; then
      echo "$pid"
    fi
  done
}

# Directories of a process's control groups, below the mount points of the hierarchies (cgroups(7)).
cgroups_of() {
  local id controllers path mount
  while IFS=: read -r id controllers path; do
    [ "$path" != / ] || continue
    if [ -z "$controllers" ]; then
      mount=$(awk '{ for (i = 7; i <= NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' /proc/self/mountinfo)
    else
      mount=$(awk -v c="${controllers%%,*}" '{ for (i = 7; i <= NF; i++) if ($i == "-" && $(i + 1) == "cgroup" && index("," $(i + 3) ",", "," c ",")) { print $5; exit } }' /proc/self/mountinfo)
    fi
    [ -z "$mount" ] || echo "$mount$path"
  done <"/proc/$1/cgroup" 2>/dev/null
}

# containerd_config DIRECTORY [SNAPSHOTTER_SOCKET]: prints the configuration of a containerd that keeps everything below DIRECTORY, for a snapshotter "starlight" on that socket.
containerd_config() {
  cat <<CONF
version = 2
root = "$1/root"
state = "$1/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "$1/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$1/opt"
CONF
  if [ -n "${2:-}" ]; then
    printf '[proxy_plugins.starlight]\n  type = "snapshot"\n  address = "%s"\n' "$2"
  fi
}

# Makes a cgroup tree that runc can use where the machine has none or only a part; what was mounted is remembered and taken away by remove_root if nobody else has begun to use it.
prepare_cgroups() {
  local root=/sys/fs/cgroup enabled controller
  findmnt -rn -t cgroup2 "$root" >/dev/null && return 0
  enabled=$(awk '$4 == 1 && $1 ~ /^(devices|memory|cpu|cpuacct|cpuset|blkio|pids|freezer)$/ { print $1 }' /proc/cgroups 2>/dev/null)
  if [ -z "$enabled" ]; then
    mount -t cgroup2 cgroup2 "$root" && CGROUP_MOUNTS=$root
    return
  fi
  if ! mountpoint -q "$root"; then
    mount -t tmpfs -o mode=755 cgroup "$root" && CGROUP_MOUNTS=$root || return
  fi
  for controller in $enabled; do
    if ! findmnt -rn -t cgroup -O "$controller" >/dev/null; then
      mkdir -p "$root/$controller" && mount -t cgroup -o "$controller" cgroup "$root/$controller" && CGROUP_MOUNTS="$root/$controller ${CGROUP_MOUNTS:-}" || return
    fi
  done
  if ! findmnt -rn -t cgroup -O name=systemd >/dev/null; then
    mkdir -p "$root/systemd" && mount -t cgroup -o none,name=systemd cgroup "$root/systemd" && CGROUP_MOUNTS="$root/systemd ${CGROUP_MOUNTS:-}"
  fi
}

# Ends what is left, unmounts what is left, deletes the root. Safe to call at any time.
remove_root() {
  [ -n "${STARLIGHT_ROOT:-}" ] || return 0
  local pids pid i cgroups path
  cgroups=
  # A shim that ends on SIGTERM may have started something in between: until nothing is left, at most five times.
  for i in 1 2 3 4 5; do
    pids=$(our_processes)
    [ -n "$pids" ] || break
    for pid in $pids; do cgroups+=" $(cgroups_of "$pid")"; done
    if [ "$i" = 1 ]; then kill $pids 2>/dev/null; else kill -9 $pids 2>/dev/null; fi
    for _ in $(seq 50); do
      [ -n "$(our_processes)" ] || break
      sleep 0.1
    done
  done
  # deepest first
  awk -v r="$STARLIGHT_ROOT/" 'index($5, r) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r path; do
    umount -l "$(printf '%b' "$path")" 2>/dev/null
  done
  # Groups that only a shim would have removed. rmdir refuses what somebody else is in.
  for path in $(printf '%s\n' $cgroups | sort -ru); do
    case $path in
      */starlight-*/*) rmdir "$path" 2>/dev/null ;;
    esac
  done
  for path in /sys/fs/cgroup/starlight-*"${STARLIGHT_ROOT##*.}" /sys/fs/cgroup/*/starlight-*"${STARLIGHT_ROOT##*.}"; do
    [ -d "$path" ] && find "$path" -depth -type d -exec rmdir {} + 2>/dev/null
  done
  for path in ${CGROUP_MOUNTS:-}; do
    [ -n "$(find "$path" -mindepth 1 -maxdepth 1 -type d -print -quit)" ] || umount "$path" 2>/dev/null
  done
  rm -rf --one-file-system "$STARLIGHT_ROOT"
  STARLIGHT_ROOT= CGROUP_MOUNTS=
}

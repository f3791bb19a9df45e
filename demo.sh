#!/usr/bin/env bash
# Starlight's main job on this machine, end to end, beside plain containerd. Run as root on Debian 12; installs what is missing, needs nothing that runs already, and cleans up after itself.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/lib.sh

usage() {
  cat <<'TEXT'
usage: ./demo.sh [--image SRC] [--update SRC] [--ready COMMAND] [--keep]

  --image SRC      image to run: a registry reference or oci:DIR:TAG
                   [default: redis on Debian, built here with debootstrap and kept in $STARLIGHT_CACHE, /var/cache/starlight]
  --update SRC     newer version of it, pulled when the first one runs [default with the default image: the same with Debian's security updates]
  --ready COMMAND  exits with 0 once the server answers; runs in the container's network, again and again
                   [default: redis answers PING, or for another image a port that it exposes accepts a connection]
  --keep           leave everything running until Enter or Ctrl-C
  --help           this text
TEXT
}
misused() {
  printf 'demo.sh: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

image= update= ready= keep=
while [ $# -gt 0 ]; do
  option=$1
  case $option in
    --image | --update | --ready)
      [ $# -ge 2 ] && [ -n "$2" ] || misused "$option needs a value"
      declare "${option#--}=$2"
      shift
      ;;
    --keep) keep=1 ;;
    -h | --help) usage; exit 0 ;;
    *) misused "'$option' is not an option" ;;
  esac
  shift
done
[ -z "$update" ] || [ -n "$image" ] || misused "--update needs --image: which image is it newer than?"
for source in "$image" "$update"; do
  case $source in
    oci:*:*) [ -e "$(cut -d: -f2 <<<"$source")/index.json" ] || misused "$source: there is no OCI layout at $(cut -d: -f2 <<<"$source")" ;;
    oci:*) misused "$source: write oci:DIR:TAG" ;;
  esac
done
if [ "$(id -u)" -ne 0 ]; then
  echo "demo.sh: run as root: containerd, mounts and package installation need it" >&2
  exit 1
fi

# ---- helpers -------------------------------------------------------------------------------------------------------------------------------------------------------

finish() {
  local status=$?
  trap - EXIT
  trap '' INT TERM HUP
  if [ "$status" -ne 0 ] && [ "$status" -ne 130 ] && [ -n "${STARLIGHT_ROOT:-}" ]; then
    for log in "$STARLIGHT_ROOT"/log/*.log; do
      [ -s "$log" ] && { printf -- '---- end of %s\n' "${log##*/}"; tail -n 12 "$log"; } >&2
    done
  fi
  remove_root
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

say() { printf '\n== %s\n' "$*"; }
die() { printf 'demo.sh: %s\n' "$*" >&2; exit 1; }
run() { printf '   $ %s\n' "$*"; "$@" || die "'$1 ${2:-}' failed"; }
now() { echo "${EPOCHREALTIME/./}"; } # microseconds
ms() { awk -v us="$1" 'BEGIN { printf us < 10000 ? "%.1f" : "%.0f", us / 1000 }'; }
mb() { awk -v b="$1" 'BEGIN { printf "%.2f MB", b / 1e6 }'; }
times() { awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.1fx", a / b; else printf "-" }'; }
median() { printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"; }

# start NAME COMMAND...: a server of ours, with its log, out of reach of the terminal's Ctrl-C so that the end is orderly.
start() {
  local name=$1
  shift
  setsid "$@" >"$STARLIGHT_ROOT/log/$name.log" 2>&1 </dev/null &
  declare -g "pid_$name=$!"
}
# until_true SECONDS WHAT PID_VARIABLE COMMAND...
until_true() {
  local deadline=$(($(now) + $1 * 1000000)) what=$2 pid=$3
  shift 3
  until "$@"; do
    [ -z "$pid" ] || kill -0 "${!pid}" 2>/dev/null || die "$what: the program ended"
    [ "$(now)" -lt "$deadline" ] || die "$what: waited too long"
    sleep 0.01
  done
}

# ---- preparation ---------------------------------------------------------------------------------------------------------------------------------------------------

say "set-up"
scripts/setup.sh || exit 1
scripts/build.sh || die "the build failed"
make_root demo
suffix=${STARLIGHT_ROOT##*.}
space=starlight-demo-$suffix plain_space=starlight-plain-$suffix # containerd namespaces, and with them control groups, that nobody else uses
mkdir -p "$STARLIGHT_ROOT"/{log,registry,proxy,starlight,containerd,net}
bin=$PWD/artifacts/starlight
cli=$bin/ctr-starlight
prepare_cgroups || die "no cgroup tree could be mounted at /sys/fs/cgroup: containers need one"

if [ -z "$image" ]; then
  layout=${STARLIGHT_CACHE:-/var/cache/starlight}/demo-images/redis
  echo "   images in $layout (built once, takes some minutes)"
  scripts/make-debian-image.sh "$layout" old old && scripts/make-debian-image.sh "$layout" new new || die "the default image could not be built"
  image=oci:$layout:old update=oci:$layout:new
  probe=redis
elif [ -n "$ready" ]; then
  probe=command
else
  probe=port
fi
[ -z "$ready" ] || probe=command

say "servers, all below $STARLIGHT_ROOT"
cat >"$STARLIGHT_ROOT/registry.yml" <<CONF
version: 0.1
log: {level: info, formatter: text}
storage: {filesystem: {rootdirectory: $STARLIGHT_ROOT/registry}}
http: {addr: "127.0.0.1:0"}
CONF
port_in() { sed -n "s/.*$2.*127\.0\.0\.1:\([0-9]\+\).*/\1/p" "$STARLIGHT_ROOT/log/$1.log" | head -1; }
has_port() { [ -n "$(port_in "$@")" ]; }
start registry docker-registry serve "$STARLIGHT_ROOT/registry.yml"
start proxy "$bin/starlight-proxy" --host 127.0.0.1 --port 0 --data-dir "$STARLIGHT_ROOT/proxy" --db "$STARLIGHT_ROOT/proxy/catalog.db" --log-level info
containerd_config "$STARLIGHT_ROOT/containerd" "$STARLIGHT_ROOT/starlight/snapshotter.sock" >"$STARLIGHT_ROOT/containerd.toml"
start containerd containerd --config "$STARLIGHT_ROOT/containerd.toml"
until_true 30 "docker-registry" pid_registry has_port registry "listening on"
until_true 60 "starlight-proxy" pid_proxy has_port proxy "listens on"
registry=127.0.0.1:$(port_in registry "listening on")
proxy=127.0.0.1:$(port_in proxy "listens on")
containerd_socket=$STARLIGHT_ROOT/containerd/containerd.sock
starlight_socket=$STARLIGHT_ROOT/starlight/daemon.sock
until_true 30 "containerd" pid_containerd test -S "$containerd_socket"
start daemon "$bin/starlight-daemon" --config "$STARLIGHT_ROOT/starlight/daemon.json" --fs-root "$STARLIGHT_ROOT/starlight/store" \
  --socket "$STARLIGHT_ROOT/starlight/snapshotter.sock" --daemon "$starlight_socket" --containerd "$containerd_socket" --proxy "local,http,$proxy"
until_true 60 "starlight-daemon" pid_daemon grep -qs ' ready: ' "$STARLIGHT_ROOT/log/daemon.log"
export STARLIGHT_ADDRESS=$starlight_socket CONTAINERD_ADDRESS=$containerd_socket
echo "   registry $registry, proxy $proxy, containerd $containerd_socket, daemon $starlight_socket"
"$cli" version | sed 's/^/   /' || die "'version' failed"

# ---- images --------------------------------------------------------------------------------------------------------------------------------------------------------

# prepare TAG SOURCE: into the registry, converted beside the original, and indexed by the proxy.
prepare() {
  local tag=$1 source=$2 from
  say "push, convert and notify: $source"
  case $source in
    oci:*) from=$source ;;
    *) from=docker://$source ;;
  esac
  local verify=()
  [[ $source =~ ^(127\.0\.0\.1|localhost|\[::1\])[:/] ]] && verify=(--src-tls-verify=false)
  run skopeo copy --quiet "${verify[@]}" --dest-tls-verify=false "$from" "docker://$registry/original/app:$tag"
  run "$cli" convert --notify --proxy "http://$proxy" "$registry/original/app:$tag" "$registry/starlight/app:$tag"
}
# Ports that the image says its server listens on.
exposed_ports() { skopeo inspect --config --tls-verify=false "docker://$registry/original/app:$1" | jq -r '.config.ExposedPorts // {} | keys[] | select(endswith("/udp") | not) | split("/")[0]'; }

# answers NETWORK: tries until the server answers; runs inside the container's network. One process, so that it takes as little as possible from what is measured.
answers() {
  case $probe in
    redis) nsenter --net="$1" bash -c 'for ((i = 0; i < 12000; i++)); do
        if exec 3<>/dev/tcp/127.0.0.1/6379 && printf "PING\r\n" >&3 && read -r -t 5 line <&3 && [[ $line == +PONG* ]]; then exit 0; fi
        read -r -t 0.005 <> <(:) || true
      done 2>/dev/null; exit 1' ;;
    port) nsenter --net="$1" bash -c 'for ((i = 0; i < 12000; i++)); do
        for port in "$@"; do if exec 3<>/dev/tcp/127.0.0.1/$port; then exit 0; fi; done
        read -r -t 0.005 <> <(:) || true
      done 2>/dev/null; exit 1' - $ports ;;
    command) nsenter --net="$1" bash -c 'for ((i = 0; i < 3000; i++)); do bash -c "$1" >/dev/null 2>&1 && exit 0; sleep 0.02; done; exit 1' - "$ready" ;;
  esac
}
# network NAME: a network of the container's own, with loopback only, so that ports of this machine do not matter. Kept alive by a file below our root.
network() {
  : >"$STARLIGHT_ROOT/net/$1"
  unshare --net="$STARLIGHT_ROOT/net/$1" ip link set lo up || die "no network namespace could be made"
}
in_space() { local n=$1; shift; ctr --namespace "$n" "$@"; }

# start_container NAMESPACE SNAPSHOTTER REF NAME: until the server answers.
start_container() {
  in_space "$1" run --detach --snapshotter "$2" --with-ns "network:$STARLIGHT_ROOT/net/$4" "$3" "$4" </dev/null >"$STARLIGHT_ROOT/log/$4.log" 2>&1 || die "the container $4 did not start"
  answers "$STARLIGHT_ROOT/net/$4" || die "the server in the container $4 does not answer"
}
stop_container() {
  in_space "$1" task kill --signal SIGKILL "$2" >/dev/null 2>&1
  until_true 20 "end of the container $2" "" eval "in_space '$1' task rm '$2' >/dev/null 2>&1 || ! in_space '$1' task ls --quiet | grep -qx '$2'"
  in_space "$1" container rm "$2" >/dev/null || die "the container $2 could not be removed"
}
blobs() { in_space "$1" content ls | awk 'NR > 1 { print $1 }' | sort; }
blob_bytes() { # bytes of blobs that were not in the list given as the second argument
  local size
  in_space "$1" content ls | awk 'NR > 1' | sort | awk -v before=" $2 " '
    index(before, " " $1 " ") == 0 { n = $2; u = 1; if (n ~ /kB$/) u = 1e3; if (n ~ /MB$/) u = 1e6; if (n ~ /GB$/) u = 1e9; digest[$1] = n * u } END { for (d in digest) print d }' |
    while read -r digest; do stat -c %s "$STARLIGHT_ROOT/containerd/root/io.containerd.content.v1.content/blobs/${digest/://}"; done | awk '{ s += $1 } END { print s + 0 }'
}
complete_count() { grep -c ' complete: ' "$STARLIGHT_ROOT/log/daemon.log"; }
more_complete() { [ "$(complete_count)" -gt "$1" ]; }

declare -A result
# with_containerd TAG: plain containerd, overlayfs, the original image; namespace of its own, whose contents nothing else shares.
with_containerd() {
  local tag=$1 ref=$registry/original/app:$1 before began pulled ended
  network "plain-$tag"
  before=$(blobs "$plain_space" | tr '\n' ' ')
  began=$(now)
  in_space "$plain_space" images pull --plain-http --snapshotter overlayfs "$ref" >"$STARLIGHT_ROOT/log/plain-pull.log" 2>&1 || die "plain containerd could not pull $ref"
  pulled=$(now)
  start_container "$plain_space" overlayfs "$ref" "plain-$tag"
  ended=$(now)
  result[plain-$tag-pull]=$((pulled - began))
  result[plain-$tag-ready]=$((ended - began))
  result[plain-$tag-complete]=$((pulled - began))
  result[plain-$tag-wire]=$(blob_bytes "$plain_space" "$before")
  echo "   containerd, overlayfs: answers after $(ms "${result[plain-$tag-ready]}") ms"
  stop_container "$plain_space" "plain-$tag"
}
with_starlight() {
  local tag=$1 ref=$registry/starlight/app:$1 complete began pulled ended line
  network "starlight-$tag"
  complete=$(complete_count)
  printf '   $ ctr-starlight pull %s\n   $ ctr run --snapshotter starlight %s %s\n' "$ref" "$ref" "starlight-$tag"
  began=$(now)
  "$cli" --namespace "$space" pull "$ref" >"$STARLIGHT_ROOT/log/pull.log" 2>&1 || { cat "$STARLIGHT_ROOT/log/pull.log" >&2; die "ctr-starlight pull $ref failed"; }
  pulled=$(now)
  start_container "$space" starlight "$ref" "starlight-$tag"
  ended=$(now)
  until_true 120 "arrival of everything" pid_daemon more_complete "$complete"
  line=$(grep ' complete: ' "$STARLIGHT_ROOT/log/daemon.log" | tail -1)
  result[starlight-$tag-pull]=$((pulled - began))
  result[starlight-$tag-ready]=$((ended - began))
  result[starlight-$tag-complete]=$(($(date -d "${line%% *}" +%s%6N) - began))
  result[starlight-$tag-wire]=$(sed 's/.* complete: \([0-9]*\) bytes.*/\1/' <<<"$line")
  sed 's/^/   /' "$STARLIGHT_ROOT/log/pull.log"
  echo "   Starlight: answers after $(ms "${result[starlight-$tag-ready]}") ms"
}
layer_bytes() { skopeo inspect --raw --tls-verify=false "docker://$registry/original/app:$1" | jq '[.layers[].size] | add'; }

tags=(v1)
prepare v1 "$image"
if [ -n "$update" ]; then
  prepare v2 "$update"
  tags=(v1 v2)
fi
for tag in "${tags[@]}"; do
  if [ "$tag" = v1 ]; then say "run it, on a worker that has nothing"; else say "run the newer version, on a worker that has the older one"; fi
  if [ "$probe" = port ]; then
    ports=$(exposed_ports "$tag" | tr '\n' ' ')
    [ -n "${ports// /}" ] || die "$image exposes no TCP port: say with --ready COMMAND how to see that it answers"
  fi
  with_containerd "$tag"
  with_starlight "$tag"
done

# ---- figures -------------------------------------------------------------------------------------------------------------------------------------------------------

say "beside plain containerd (overlayfs, the original image; same registry, same machine, this run; loopback, files in the page cache)"
row() { printf '  %-44s %16s %16s %8s\n' "$@"; }
time_row() { row "$1" "$(ms "${result[plain-$2]}") ms" "$(ms "${result[starlight-$2]}") ms" "$(times "${result[plain-$2]}" "${result[starlight-$2]}")"; }
for tag in "${tags[@]}"; do
  if [ "$tag" = v1 ]; then row "FRESH" containerd Starlight ratio; else row "UPDATE" containerd Starlight ratio; fi
  layers=$(layer_bytes "$tag")
  time_row "time to ready (pull starts - server answers)" "$tag-ready"
  time_row "pull returns" "$tag-pull"
  time_row "everything is here" "$tag-complete"
  row "bytes on the wire" "$(mb "${result[plain-$tag-wire]}")" "$(mb "${result[starlight-$tag-wire]}")" "$(times "${result[plain-$tag-wire]}" "${result[starlight-$tag-wire]}")"
  row "saved against the layers ($(mb "$layers"))" "$(mb $((layers - result[plain-$tag-wire])))" "$(mb $((layers - result[starlight-$tag-wire])))" ""
done

# ---- speed to reach ------------------------------------------------------------------------------------------------------------------------------------------------

say "speed to reach (loopback, daemon warm, everything indexed)"
row "" value target ""
# figure WHAT VALUE TARGET UNIT: a missed target is shown, not a failure.
figure() { row "$1" "$2 $4" "<= $3 $4" "$(awk -v v="$2" -v t="$3" 'BEGIN { print v <= t ? "ok" : "missed" }')"; }
# timed COMMAND...: microseconds in $took
timed() {
  local began
  began=$(now)
  "$@" >"$STARLIGHT_ROOT/log/timed.log" 2>&1 || { cat "$STARLIGHT_ROOT/log/timed.log" >&2; die "'$*' failed"; }
  took=$(($(now) - began))
}
tree_count() { find "$STARLIGHT_ROOT/starlight/store/images" -mindepth 1 -maxdepth 1 -type d | wc -l; }
no_trees() { [ "$(tree_count)" -eq 0 ]; }

for tag in "${tags[@]}"; do stop_container "$space" "starlight-$tag"; done

starts=() versions=() pulls=()
for i in 1 2 3 4 5; do
  timed "$cli" --version
  starts+=("$took")
  timed "$cli" version
  versions+=("$took")
done
cli_start=$(median "${starts[@]}")
for i in 1 2 3; do
  # an image that is gone for good: containerd frees the snapshots, and the daemon with them the contents
  for name in $(in_space "$space" images ls --quiet); do in_space "$space" images rm --sync "$name" >/dev/null || die "$name could not be removed"; done
  until_true 30 "removal of the images from the worker" pid_daemon no_trees
  complete=$(complete_count)
  timed "$cli" --namespace "$space" pull "$registry/starlight/app:v1"
  pulls+=("$took")
  until_true 120 "arrival of everything" pid_daemon more_complete "$complete"
done
pull_time=$(median "${pulls[@]}")
figure "fresh pull returns, less the CLI's own start" "$(ms $((pull_time - cli_start)))" 150 ms
row "  (in all $(ms "$pull_time") ms, CLI's own start $(ms "$cli_start") ms)" "" "" ""
figure "ctr-starlight version" "$(ms "$(median "${versions[@]}")")" 120 ms

scripts/make-files-image.py "$STARLIGHT_ROOT/files" files 10000 || die "the image of 10,000 files could not be made"
skopeo copy --quiet --dest-tls-verify=false "oci:$STARLIGHT_ROOT/files:files" "docker://$registry/starlight/files:latest" || die "the image of 10,000 files could not be pushed"
timed "$cli" notify --proxy "http://$proxy" "$registry/starlight/files:latest"
first_byte() { # FROM...
  local arguments=() from
  for from in "$@"; do arguments+=(--data-urlencode "from=$from"); done
  curl -fsS --get -o "$STARLIGHT_ROOT/tmp/bundle" -w '%{time_starttransfer}' "http://$proxy/starlight/delta" \
    --data-urlencode "to=$registry/starlight/files:latest" --data-urlencode "platform=linux/$(dpkg --print-architecture)" "${arguments[@]}" || die "the bundle of the 10,000 files could not be had"
}
digest_of() { skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/starlight/app:$1"; }
# The first request warms up; each of the others asks something that has not been asked before, so none is answered from the cache of bundles.
first_byte >/dev/null || exit 1
questions=("$registry/starlight/app@$(digest_of v1)")
if [ "${#tags[@]}" -eq 2 ]; then
  newer=$registry/starlight/app@$(digest_of v2)
  questions=("${questions[0]}" "$newer" "${questions[0]} $newer")
fi
firsts=()
for question in "${questions[@]}"; do
  seconds=$(first_byte $question) || exit 1
  firsts+=("$(awk -v s="$seconds" 'BEGIN { printf "%d", s * 1e6 }')")
done
figure "first byte of a bundle, 10,000 files" "$(ms "$(median "${firsts[@]}")")" 50 ms

memory() { awk -v f="$2:" '$1 == f { printf "%.0f", $2 * 1024 / 1e6 }' "/proc/$1/status"; }
figure "starlight-daemon, resident, at its highest" "$(memory "$pid_daemon" VmHWM)" 120 MB
figure "starlight-proxy, resident, at its highest" "$(memory "$pid_proxy" VmHWM)" 250 MB
row "  (now: daemon $(memory "$pid_daemon" VmRSS) MB, proxy $(memory "$pid_proxy" VmRSS) MB)" "" "" ""

if [ -n "$keep" ]; then
  say "kept running until Enter or Ctrl-C"
  printf '   export STARLIGHT_ADDRESS=%s CONTAINERD_ADDRESS=%s PATH=%s:$PATH\n   ctr-starlight --namespace %s pull %s\n   ctr --namespace %s run --snapshotter starlight ...\n' \
    "$STARLIGHT_ADDRESS" "$CONTAINERD_ADDRESS" "$bin" "$space" "$registry/starlight/app:v1" "$space"
  if [ -t 0 ]; then read -r; else sleep infinity & wait $!; fi
fi

# Shared by demo.sh and test.sh: a private root below which everything is started and mounted, and its removal. Source it.

# make_root NAME: creates $STARLIGHT_ROOT and exports it with TMPDIR, so that every process started from here carries the mark in its environment.
make_root() {
  STARLIGHT_ROOT=$(mktemp -d "${STARLIGHT_TMP:-/tmp}/starlight-$1.XXXXXX")
  mkdir -p "$STARLIGHT_ROOT/tmp"
  export STARLIGHT_ROOT TMPDIR=$STARLIGHT_ROOT/tmp
}

# Processes started below our root: found by the mark in their environment, never by name.
our_processes() {
  local environ pid
  for environ in /proc/[0-9]*/environ; do
    pid=${environ#/proc/}
    pid=${pid%/environ}
    [ "$pid" != $$ ] && [ "$pid" != "$BASHPID" ] || continue
    if tr '\0' '\n' 2>/dev/null <"$environ" | grep -qxF "STARLIGHT_ROOT=$STARLIGHT_ROOT"; then
      echo "$pid"
    fi
  done
}

# Ends what is left, unmounts what is left, deletes the root. Safe to call at any time.
remove_root() {
  [ -n "${STARLIGHT_ROOT:-}" ] || return 0
  local pids i
  pids=$(our_processes)
  if [ -n "$pids" ]; then
    kill $pids 2>/dev/null
    for i in $(seq 50); do
      [ -n "$(our_processes)" ] || break
      sleep 0.1
    done
    pids=$(our_processes)
    [ -z "$pids" ] || kill -9 $pids 2>/dev/null
  fi
  # deepest first
  awk -v r="$STARLIGHT_ROOT/" 'index($5, r) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r m; do
    umount -l "$(printf '%b' "$m")" 2>/dev/null
  done
  rm -rf --one-file-system "$STARLIGHT_ROOT"
  STARLIGHT_ROOT=
}

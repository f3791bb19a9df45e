#!/usr/bin/env bash
# Runs all tests, on real programs. Installs what is missing first (scripts/setup.sh). Run as root on Debian 12.
#
#   ./test.sh                  everything
#   ./test.sh Domain EndToEnd  only test projects whose names contain one of these words
#
# The last line is "N passed, N failed, N skipped" for the whole run; the exit code is 0 only if nothing failed and, with CI=true, nothing was skipped but what needs a
# newer containerd than the machine has.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/lib.sh

passed=0 failed=0 skipped=0 excused=0 broken=0 failures=()
finish() {
  trap - EXIT INT TERM
  remove_root
  if [ "${CI:-}" = true ] && [ "$skipped" -gt "$excused" ]; then
    echo "test.sh: tests were skipped; in CI only those may be that need a newer containerd than the machine has" >&2
    broken=1
  fi
  if [ "$broken" -ne 0 ] && [ "$failed" -eq 0 ]; then
    failed=1 # something other than a test went wrong, and the count must say so
  fi
  if [ "${#failures[@]}" -gt 0 ]; then
    printf '\nFailed:\n'
    printf '  %s\n' "${failures[@]}" # once more, together: a log of thousands of tests is read from its end
  fi
  local status=0
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ] || status=1
  echo "$passed passed, $failed failed, $skipped skipped"
  exit "$status" # without a number, exit in a trap would end with the status from before the trap
}
trap finish EXIT
trap 'broken=1; exit 130' INT TERM

# Each failed test of a trx file: its name, the first lines of why, and where in our code.
failed_tests() {
  awk '
    /<UnitTestResult / { failed = /outcome="Failed"/; if (failed && match($0, /testName="[^"]*"/)) print substr($0, RSTART + 10, RLENGTH - 11) }
    failed && /<Message>/ { left = 8 }
    failed && / in .*:line [0-9]/ { line = $0; sub(/^ *(<StackTrace>)? */, "", line); print "    " line }
    failed && left > 0 { line = $0; gsub(/<\/?Message>|&#xD;/, "", line); sub(/^ */, "", line); if (line != "") print "    " substr(line, 1, 300); left-- }
    /<\/Message>/ { left = 0 }
    /<\/UnitTestResult>/ { failed = 0 }
  ' "$1" | sed 's/&lt;/</g; s/&gt;/>/g; s/&quot;/"/g; s/&amp;/\&/g'
}

step() { printf '\n== %s\n' "$*"; }

scripts/setup.sh || { broken=1; exit 1; }
make_root tests

step "build"
dotnet build Starlight.sln -c Release --nologo -v quiet || { broken=1; exit 1; }
if [ $# -eq 0 ]; then
  step "format"
  dotnet format Starlight.sln --verify-no-changes --no-restore || { echo "test.sh: run 'dotnet format Starlight.sln'" >&2; broken=1; }
fi
step "programs"
scripts/build.sh || { broken=1; exit 1; }
export STARLIGHT_BIN=$PWD/artifacts/starlight

for project in tests/*.Tests tests/*Tests; do
  [ -f "$project/$(basename "$project").csproj" ] || continue
  name=$(basename "$project")
  case " ${done_projects:-} " in *" $name "*) continue ;; esac
  done_projects="${done_projects:-} $name"
  if [ $# -gt 0 ]; then
    wanted=
    for word in "$@"; do [[ $name == *"$word"* ]] && wanted=1; done
    [ -n "$wanted" ] || continue
  fi
  step "$name"
  results=$STARLIGHT_ROOT/results/$name
  timeout --kill-after=30 "${STARLIGHT_TEST_TIMEOUT:-15m}" dotnet test "$project" -c Release --no-build --nologo -v quiet \
    --logger "console;verbosity=normal" --logger "trx;LogFileName=results.trx" --results-directory "$results" 2>&1 | grep -v -E '^\s+Passed '
  status=${PIPESTATUS[0]}
  counters=$(grep -o '<Counters [^>]*>' "$results/results.trx" 2>/dev/null | head -1)
  if [ -z "$counters" ]; then
    echo "test.sh: $name gave no results" >&2
    broken=1
    continue
  fi
  count() { sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" <<<"$counters"; }
  total=$(count total) p=$(count passed) f=$(count failed)
  # trx counts what did not run as neither passed nor failed
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + total - p - f))
  mapfile -t -O "${#failures[@]}" failures < <(failed_tests "$results/results.trx")
  excused=$((excused + $(grep -c '<Message>needs containerd ' "$results/results.trx")))
  if [ "${total:-0}" -eq 0 ]; then
    echo "test.sh: $name has no tests" >&2
    broken=1
  elif [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
    echo "test.sh: $name ended with exit code $status though no test failed: the test host crashed or ran out of time" >&2
    broken=1
  fi
done
exit 0

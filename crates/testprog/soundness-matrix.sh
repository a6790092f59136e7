#!/usr/bin/env bash
# Runs the soundness suite and the preemption mix in every build that is supported, {debug, release}
# x {dynamic, static}, on 1, 2 and 8 Ps; then the suite's control, whose goroutines share their
# thread's TLS and which must fail, as a whole and in each of the cases that are about per-thread
# state. `soundness-matrix.sh BUILD...` runs only some, such as "release static" or control.
#
# RT0_SOUNDNESS_SECS (5) is how long each run goes on. Prints a line for each combination, the ends
# of the logs of those that failed, and `N passed, N failed`; the status is 1 if one that must pass
# fails or the control passes.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

secs=${RT0_SOUNDNESS_SECS:-5}
triple=x86_64-unknown-linux-gnu
target=${CARGO_TARGET_DIR:-target}
builds=("debug dynamic" "release dynamic" "debug static" "release static" control)
(($#)) && builds=("$@")
own=$target/soundness
log=$own/log
# Cases that cannot pass when goroutines share TLS, be it on one thread or on several.
per_thread="thread-local-refcell thread-local-drop thread-local-const thread-local-lazy
  thread-local-address thread-id pthread-self stdout-lock errno panic-catch panicking panic-nested
  thread-spawn pthread-errorcheck-mutex pthread-key ctype-strtod-strerror uselocale"
mkdir -p "$log"
passed=0 failed=() # what failed: COMBINATION:LOG

count() { # COMBINATION VERDICT DETAILS [LOG]
  printf '%-46s %-6s %s\n' "$1" "$2" "$3"
  if [[ $2 == passed ]]; then passed=$((passed + 1)); else failed+=("$1:$4"); fi
}

# Where only the end of the output is kept, as in CI, it has to say why.
show_end() { # COMBINATION:LOG
  printf '\n== %s\n' "${1%:*}"
  grep -aE '^FAIL ' "${1##*:}" | head -n 20 | cut -c1-300
  echo "-- the end of ${1##*:}"
  tail -n 40 "${1##*:}" | cut -c1-300
}

# Prints the path of the program, a copy: the next build may put its own there. With the features of
# the whole workspace, so that tests and other checks share what is built. With --target, RUSTFLAGS
# leave build scripts and macros alone.
build() { # LOG NAME PROFILE LINKAGE [CARGO-ARGUMENT...]
  local log=$1 name=$2 profile=$3 linkage=$4 flags=${RUSTFLAGS:-} to=()
  shift 4
  [[ $linkage == static ]] && flags+=" -Ctarget-feature=+crt-static"
  [[ -z $flags ]] || to=(--target $triple)
  RUSTFLAGS=$flags cargo build --workspace --bin soundness --target-dir "$target" \
    --profile "$profile" "${to[@]}" "$@" >&"$log" || return
  cp "$target/${to[1]-}/${profile/dev/debug}/soundness" "$own/$name" && echo "$own/$name"
}

# What the last line says, and the cases that did not run, with the reason.
summary() { # LOG
  grep -aE '^[0-9]+ (cases|kinds), ' "$1" | tail -1 | tr '\n' ' '
  grep -aE '^skip ' "$1" | sed 's/^skip \([^:]*\): \(.*\)/[no \1: \2]/' | tr '\n' ' '
}

why() { # LOG STATUS
  local lines
  lines=$(grep -aE '^FAIL ' "$1" | sed 's/^FAIL //' | cut -c1-100 | paste -sd '|')
  lines=${lines:-$(grep -aE '^(fatal error|fatal runtime error|panic): |aborting' "$1" | head -1)}
  echo "status $2: $lines (${1##*/})"
}

run() { # PROGRAM LOG GOMAXPROCS [ARGUMENT...]
  local program=$1 log=$2 ps=$3
  shift 3
  GOMAXPROCS=$ps timeout -k 5 $((secs + 180)) "$program" "$@" >&"$log"
}

# In every build the mix has three goroutines of each kind that runs.
is_whole() { # LOG MIX
  [[ -z $2 ]] || grep -aE '^[0-9]+ kinds, ' "$1" | awk '{ n += $1; m += $3 } END { exit !n || m != 3 * n }'
}

check_build() { # PROFILE LINKAGE
  local name="$1 $2" program ps mix runlog
  local file=${name/ /-}
  if ! program=$(build "$log/build-$file.log" "$file" "${1/debug/dev}" "$2"); then
    count "$name" FAILED "it does not build" "$log/build-$file.log"
    return
  fi
  for ps in 1 2 8; do
    for mix in "" mix; do
      runlog=$log/$file-$ps${mix:+-$mix}.log
      if run "$program" "$runlog" $ps $mix --secs "$secs" && is_whole "$runlog" "$mix"; then
        count "$name, GOMAXPROCS=$ps${mix:+, $mix}" passed "$(summary "$runlog")"
      else
        count "$name, GOMAXPROCS=$ps${mix:+, $mix}" FAILED "$(why "$runlog" $?)" "$runlog"
      fi
    done
  done
}

# A suite that cannot fail shows nothing.
check_control() {
  local name="control (shared TLS)" program ps case
  if ! program=$(build "$log/build-control.log" control dev dynamic \
    --features testprog/control-shared-tls); then
    count "$name" FAILED "it does not build" "$log/build-control.log"
    return
  fi
  for ps in 1 2 8; do
    if run "$program" "$log/control-$ps.log" $ps --secs 1 2>/dev/null; then
      count "$name, GOMAXPROCS=$ps" FAILED "it passes: the suite does not see the fault" \
        "$log/control-$ps.log"
    else
      count "$name, GOMAXPROCS=$ps" passed "fails as it must: $(why "$log/control-$ps.log" $?)"
    fi
  done
  # Whether a round meets the fault is up to which goroutine goes to which thread: the first that
  # does ends the run.
  for case in $per_thread; do
    if run "$program" "$log/control-$case.log" 2 --secs 20 "$case" 2>/dev/null; then
      count "$name, $case" FAILED "it passes: the case does not see the fault" \
        "$log/control-$case.log"
    else
      count "$name, $case" passed "fails as it must: $(why "$log/control-$case.log" $?)"
    fi
  done
}

for one in "${builds[@]}"; do
  case $one in
    control) check_control ;;
    "debug "* | "release "*) check_build ${one% *} ${one#* } ;;
    *) count "$one" FAILED "no such build" /dev/null ;;
  esac
done

for one in "${failed[@]}"; do show_end "$one"; done
echo "$passed passed, ${#failed[@]} failed"
((${#failed[@]} == 0))

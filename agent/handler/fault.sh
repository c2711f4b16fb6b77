#!/bin/sh
# The handler's side of common/fault-point.ts, in the test build only. fault NAME: does what the file NAME in the folder
# asks for: kill, hang, error, kill-criu, kill-runtime, and optionally at which pass.
fault() {
  fault_dir=${LPM_FAULT_DIR:-/run/lpm-faults}
  { read -r fault_kind fault_pass <"$fault_dir/$1"; } 2>/dev/null || return 0
  if [ "${fault_pass:-1}" -gt 1 ]; then
    echo "$fault_kind $((fault_pass - 1))" >"$fault_dir/$1.next" && mv "$fault_dir/$1.next" "$fault_dir/$1"
    return 0
  fi
  mv "$fault_dir/$1" "$fault_dir/fired/$1" 2>/dev/null || return 0
  case $fault_kind in
    kill) kill -9 $$ ;;
    hang) while [ -e "$fault_dir/fired/$1" ]; do sleep 0.02; done ;;
    error)
      echo "a fault was asked for at $1" >&2
      exit 1
      ;;
    # As CRIU's action script: the parent is CRIU, and its parent the real runtime.
    kill-criu) kill -9 "$PPID" ;;
    kill-runtime)
      fault_victim=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$PPID/status")
      kill -9 "$fault_victim"
      # A signal takes its time, and what comes next looks whether it lives.
      while lives "$fault_victim"; do sleep 0.01; done
      ;;
  esac
}

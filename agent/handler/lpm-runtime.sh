#!/bin/sh
# lpm-runtime: the OCI runtime handler "lpm". containerd, CRI-O and conmon call it as they call runc; everything goes to
# the real runtime unchanged, but for one thing: `create` of a container of a pod that a migration made (annotation
# lpm.my.domain/migration) waits for the state that the node agent stages, and restores it instead of creating.
#
# It fails closed on what lies on disk, see agent/PROTOCOL.md. The order of the states of one container:
#   waiting -> ready (by the agent) -> attempted -> [claim of the pod] -> executed -> restored -> completed
# CRIU calls this same script as its action script (CRTOOLS_SCRIPT_ACTION is set then): at post-restore, when everything is
# restored and nothing has executed, it makes the claim; at pre-resume it makes the mark `executed`.
#
# POSIX shell, no other program of ours: needs cat, date, grep, ln, mkdir, mv, readlink, rm, sed, sha256sum, sleep, sync, tar (GNU), tr,
# xargs.
# Settings lie beside it in ../etc, one value a file: runtime (path of the real one), state-dir, wait-seconds.
set -u
umask 077
self=$0
case $self in */*) etc=${self%/*}/../etc ;; *) etc=/opt/lpm/etc ;; esac
PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

# setting NAME DEFAULT: the first line of ../etc/NAME
setting() {
  value=
  if [ -r "$etc/$1" ]; then IFS= read -r value <"$etc/$1" || :; fi
  [ -n "$value" ] || value=$2
}

# alive PID STARTTIME: true while that very process lives (a PID alone may have been given away again)
# process PID: sets p_state, p_parent and p_start from /proc/PID/stat (proc_pid_stat(5), fields 3, 4 and 22)
process() {
  p_line=
  { IFS= read -r p_line <"/proc/$1/stat"; } 2>/dev/null || return 1
  # The name in field 2 may hold anything, even parentheses: what follows the last one is numbers.
  set -- ${p_line##*) }
  p_state=$1 p_parent=$2 p_start=${20}
}
alive() {
  process "$1" && [ "$p_start" = "$2" ] && case $p_state in [ZXx]) false ;; esac
}

# Seconds since boot: unlike the wall clock they never jump.
uptime_now() {
  IFS=' .' read -r now _ </proc/uptime
}

# read_claim POD_DIR CONTAINER_DIR: sets claim to committed, revoked or nothing, and claimed_by. A claim that was committed
# is revoked all the same when the agent has won `executed` for the source's side: nothing has executed, nothing ever will.
read_claim() {
  claim='' claimed_by=''
  if [ -e "$1/claim" ]; then
    read -r claim claimed_by <"$1/claim" || claim=unreadable
  fi
  if [ "$claim" = committed ] && [ -e "$2/executed" ]; then
    read -r mark taken_by <"$2/executed" || mark=unreadable
    case $mark in
      revoked) claim=revoked claimed_by=$taken_by ;;
      unreadable) claim=unreadable ;;
    esac
  fi
}

# ---------------------------------------------------------------------------------------------- as CRIU's action script

# Runs in CRIU's environment, which is the one `restore` below gives it: LPM_POD, LPM_CONTAINER, LPM_ATTEMPT (folders),
# LPM_RESTORE_UID, LPM_HANDLER (PID and start time of the handler), LPM_DEADLINE (seconds since boot).
action() {
  exec </dev/null >>"$LPM_ATTEMPT/action.log" 2>&1
  case $CRTOOLS_SCRIPT_ACTION in
    post-restore) at_post_restore ;;
    pre-resume) at_pre_resume ;;
    post-resume)
      # fault: handler.post-resume
      # The script before this one may have been killed, and CRIU has resumed the processes all the same.
      [ "$LPM_CONTAINER/executed" -ef "$LPM_ATTEMPT/executed" ] || at_pre_resume
      date +%s%N >"$LPM_ATTEMPT/restored" && mv "$LPM_ATTEMPT/restored" "$LPM_CONTAINER/restored"
      ;;
  esac
}

# The runtime that called `create` must still be waiting for it: if it has given up (and killed the handler), it will take
# this container away, so nothing may be claimed.
still_wanted() {
  uptime_now
  [ "$now" -lt "$LPM_DEADLINE" ] || { echo "the deadline has passed"; return 1; }
  still_served
}

# The real runtime is CRIU's parent and the handler's child.
still_served() {
  alive ${LPM_HANDLER} || { echo "the handler is gone"; return 1; }
  wanted_pid=$PPID
  while process "$wanted_pid" && [ "$p_parent" -gt 1 ]; do
    case $p_state in [ZXx]) break ;; esac
    [ "$p_parent" = "${LPM_HANDLER% *}" ] && return 0
    wanted_pid=$p_parent
  done
  echo "the real runtime is gone"
  return 1
}

at_post_restore() {
  # fault: handler.post-restore
  : >"$LPM_ATTEMPT/held"
  while [ -e "$LPM_POD/hold" ]; do
    read_claim "$LPM_POD" "$LPM_CONTAINER"
    [ -z "$claim" ] || break
    still_wanted || exit 1
    sleep 0.02
  done
  still_wanted || exit 1
  # link(2) is the claim: it succeeds for one side only, and the file appears with its whole, synced contents.
  ln "$LPM_ATTEMPT/claim" "$LPM_POD/claim" 2>/dev/null
  sync "$LPM_POD"
  read_claim "$LPM_POD" "$LPM_CONTAINER"
  [ "$claim $claimed_by" = "committed $LPM_RESTORE_UID" ] || { echo "claim: $claim $claimed_by"; exit 1; }
  # fault: handler.claimed
  # Syncing takes its time. A CRIU whose runtime has died meanwhile would let the processes go without asking again, only for the
  # handler to take them away: better that nothing executes yet, and the restore is repeated.
  still_served || exit 1
}

# After a commit a restore that failed may be repeated, and a late, forgotten one may come to life beside it: `executed`
# is won by one attempt only, and synced before its first instruction. CRIU goes on whatever this script returns here, so
# the loser is killed (init of its PID namespace: everything in it dies with it).
at_pre_resume() {
  # fault: handler.pre-resume
  if ln "$LPM_ATTEMPT/executed" "$LPM_CONTAINER/executed" && sync "$LPM_CONTAINER"; then
    # fault: handler.executed
    return
  fi
  echo "not executed: another attempt has executed, or the mark could not be written"
  kill -9 "$CRTOOLS_INIT_PID"
  # A signal takes its time. Init is a zombie only when every other process of its namespace is gone (pid_namespaces(7)), and
  # as long as this script does not return, CRIU resumes none of them.
  while process "$CRTOOLS_INIT_PID" && case $p_state in [ZXx]) false ;; esac; do sleep 0.01; done
  exit 1
}

if [ -n "${CRTOOLS_SCRIPT_ACTION:-}" ] && [ -n "${LPM_ATTEMPT:-}" ]; then
  action
  exit
fi

# -------------------------------------------------------------------------------------------------------- as the runtime

find_runtime() {
  setting runtime ''
  real=$value
  [ -n "$real" ] || real=$(command -v runc) || real=$(command -v crun) || real=
  if [ -z "$real" ] || [ ! -x "$real" ]; then
    die "no OCI runtime found${real:+ at $real}: install runc or crun, or name it in $etc/runtime"
  fi
  # A link to this script would call itself for ever.
  if [ "$real" -ef "$self" ]; then die "$etc/runtime names lpm-runtime itself"; fi
}

# die SENTENCE: to stderr, and to the runtime's log in the form that containerd puts into the pod's events
die() {
  printf 'lpm-runtime: %s\n' "$1" >&2
  if [ -n "$log" ]; then
    said=$(printf '%s' "$1" | tr '\n\t' '  ' | tr -d '\000-\037' | sed 's/\\/\\\\/g; s/"/\\"/g')
    case $log_format in
      json) printf '{"level":"error","msg":"%s","time":"%s"}\n' "$said" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" ;;
      *) printf 'time="%s" level=error msg="%s"\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$said" ;;
    esac >>"$log"
  fi
  exit 1
}

# The flags before the verb, as runc and crun have them; the words up to the verb are counted in `globals`.
verb='' root='' log='' log_format=text globals=0 expect=''
for word do
  if [ -n "$expect" ]; then
    case $expect in
      root) root=$word ;;
      log) log=$word ;;
      log-format) log_format=$word ;;
    esac
    expect=''
  else
    case $word in
      --root=*) root=${word#*=} ;;
      --log=*) log=${word#*=} ;;
      --log-format=*) log_format=${word#*=} ;;
      --log | --log-format | --root | --criu | --rootless | --cgroup-manager) expect=${word#--} ;;
      -*) ;;
      *)
        verb=$word
        break
        ;;
    esac
  fi
  globals=$((globals + 1))
done

find_runtime
case $verb in
  create | start | state) ;;
  *) exec "$real" "$@" ;;
esac

setting state-dir /var/lib/lpm
state=$value

# processes_in ID: the folders in /proc of all processes of a container, CRIU among them while it restores
processes_in() {
  grep -lE "[/:-]$1(\.scope)?\$" /proc/[0-9]*/cgroup 2>/dev/null | sed 's|/cgroup$||'
}

# take_away ID: removes a container with all its processes. What CRIU has restored goes first: CRIU holds it stopped by
# ptrace, and would let it go by dying before it (ptrace(2): a tracer that dies detaches).
take_away() {
  for found in $(processes_in "$1"); do
    [ "$(readlink "$found/ns/pid")" = "$(readlink "/proc/$$/ns/pid")" ] || kill -9 "${found#/proc/}" 2>/dev/null
  done
  # Nothing of it executes any more, whoever holds it (a pending SIGKILL comes before the next instruction). A CRIU that hangs
  # would keep the dead ones as zombies, and the container could never be deleted.
  for found in $(processes_in "$1"); do kill -9 "${found#/proc/}" 2>/dev/null; done
  "$real" ${root:+--root "$root"} delete --force "$1" >/dev/null 2>&1 </dev/null
}

# The flags after the verb; the last word is the container's ID.
bundle='' pid_file='' console='' no_pivot='' id='' seen=0 expect=''
for word do
  seen=$((seen + 1))
  [ "$seen" -gt $((globals + 1)) ] || continue
  if [ -n "$expect" ]; then
    case $expect in
      bundle) bundle=$word ;;
      pid-file) pid_file=$word ;;
      console) console=$word ;;
    esac
    expect=''
    continue
  fi
  case $word in
    --bundle=* | -b=*) bundle=${word#*=} ;;
    --pid-file=*) pid_file=${word#*=} ;;
    --console-socket=*) console=${word#*=} ;;
    --bundle | -b) expect=bundle ;;
    --pid-file) expect=pid-file ;;
    --console-socket) expect=console ;;
    --preserve-fds | --pidfd-socket) expect=ignored ;;
    --no-pivot) no_pivot=--no-pivot ;;
    -*) ;;
    *) id=$word ;;
  esac
done
case $id in '' | .* | *[!A-Za-z0-9_.+-]*) exec "$real" "$@" ;; esac

restored=$state/restored/$id
if [ "$verb" = start ]; then
  # A restored container runs already.
  [ -e "$restored" ] || exec "$real" "$@"
  echo started >"$restored" || die "cannot write $restored"
  exit 0
fi
if [ "$verb" = state ]; then
  # CRI-O asks between create and start, and starts only what is "created".
  mark=''
  if [ -e "$restored" ]; then IFS= read -r mark <"$restored"; fi
  [ "$mark" = created ] || exec "$real" "$@"
  said=$("$real" "$@") || exit
  printf '%s\n' "$said" | sed -E 's/("status": *)"(running|paused)"/\1"created"/'
  exit
fi

# ---------------------------------------------------------------------------------------------------------------- create

config=${bundle:-.}/config.json
[ -r "$config" ] || exec "$real" "$@"

# The keys are searched with their quotes unescaped: text that a pod's author controls stands inside JSON strings, where
# every quote is escaped, so it cannot look like a key.
uid='' name='' type='' migration=''
found=$(grep -oE '"(io\.kubernetes\.(cri\.(sandbox-uid|container-name|container-type)|pod\.uid|container\.name|cri-o\.ContainerType)|lpm\.my\.domain/migration)": ?"[^"\\]*"' "$config")
while IFS= read -r line; do
  value=${line%\"} value=${value##*\"}
  case $line in
    '"io.kubernetes.cri.sandbox-uid"'* | '"io.kubernetes.pod.uid"'*) uid=$value ;;
    '"io.kubernetes.cri.container-name"'* | '"io.kubernetes.container.name"'*) name=$value ;;
    '"io.kubernetes.cri.container-type"'* | '"io.kubernetes.cri-o.ContainerType"'*) type=$value ;;
    '"lpm.my.domain/migration"'*) migration=$value ;;
  esac
done <<FOUND
$found
FOUND
if [ -z "$migration" ]; then
  # CRI-O keeps the pod's annotations as JSON inside a JSON string, so these quotes are escaped once.
  migration=$(grep -oE '"io\.kubernetes\.cri-o\.Annotations": ?"([^"\\]|\\.)*"' "$config" |
    grep -oE '\\"lpm\.my\.domain/migration\\": ?\\"[^"\\]*\\"')
fi
if [ -z "$migration" ] || [ "$type" = sandbox ] || [ "$name" = POD ]; then exec "$real" "$@"; fi

case $uid in '' | *[!0-9a-f-]*) die "this pod waits for its state (annotation lpm.my.domain/migration), but $config has no pod UID" ;; esac
case $name in '' | -* | *- | *[!0-9a-z-]*) die "this pod waits for its state (annotation lpm.my.domain/migration), but $config has no container name" ;; esac
pod=$state/pods/$uid
container=$pod/containers/$name
what="container $name of pod $uid"
mkdir -p "$container" || die "cannot make $container"

read_claim "$pod" "$container"
case $claim in
  revoked) die "$what: the migration was taken back (by $claimed_by); nothing of it starts here" ;;
  '' | committed) ;;
  *) die "$what: the claim in $pod cannot be read; nothing starts before somebody has looked at it" ;;
esac

# Has an earlier container of this name been restored and executed? Then this is an ordinary restart. That one is over, unless
# the handler was killed before the caller had its answer: the caller knows nothing of it then, and nobody else ends it. Two
# must never run.
if [ -e "$container/executed" ]; then
  former=''
  while read -r key value; do
    case $key in container) former=$value ;; esac
  done <"$container/executed"
  if [ -n "$former" ] && [ "$former" != "$id" ]; then
    if [ ! -e "$container/completed" ] || [ -n "$(processes_in "$former")" ]; then take_away "$former"; fi
    [ -z "$(processes_in "$former")" ] ||
      die "$what: the restored process still runs in the lost container $former; it is not started a second time"
  fi
  exec "$real" "$@"
fi

# A container that no checkpoint holds (kubectl debug) is an ordinary one.
if [ "$claim" = committed ] && [ -e "$pod/wanted" ] && ! grep -qx -e "$name" "$pod/wanted"; then exec "$real" "$@"; fi
if [ -e "$container/attempted" ] && [ "$claim" != committed ]; then
  die "$what: its restore was attempted before and failed; it is never attempted twice before the commit"
fi
[ -z "$console" ] || die "$what: it has a terminal, and terminals cannot be restored"

# ------------------------------------------------------------------------------------------------------------------ wait

setting wait-seconds 100
wait_seconds=$value
uptime_now
deadline=$((now + wait_seconds))
process $$ || die "cannot read /proc"
start=$p_start
printf 'pid %s\nstart %s\ncontainer %s\nbundle %s\ndeadline %s\n' $$ "$start" "$id" "$bundle" "$deadline" >"$container/.waiting.$$" &&
  mv "$container/.waiting.$$" "$container/waiting" || die "cannot write $container/waiting"
# fault: handler.waiting

while :; do
  read_claim "$pod" "$container"
  [ "$claim" != revoked ] || die "$what: the migration was taken back (by $claimed_by); nothing of it starts here"
  if [ -e "$container/ready" ]; then
    restore_uid='' ready_for=''
    while read -r key value; do
      case $key in
        restore) restore_uid=$value ;;
        container) ready_for=$value ;;
      esac
    done <"$container/ready"
    # Logs and /dev/shm belong to one container and one sandbox: what was made ready for another one is not ours.
    [ "$ready_for" != "$id" ] || break
  fi
  uptime_now
  [ "$now" -lt "$deadline" ] || die "$what: its state did not arrive within $wait_seconds s; it waits again when the kubelet tries again"
  sleep 0.02
done
case $restore_uid in '' | *[!0-9a-fA-F-]*) die "$what: $container/ready is damaged" ;; esac
# fault: handler.ready

# --------------------------------------------------------------------------------------------------------------- restore

if ! mkdir "$container/attempted" 2>/dev/null; then
  read_claim "$pod" "$container"
  [ "$claim" = committed ] || die "$what: its restore was attempted before; it is never attempted twice before the commit"
fi
number=1
until mkdir "$container/attempted/$number" 2>/dev/null; do
  number=$((number + 1))
  [ "$number" -lt 1000 ] || die "$what: no attempt can be made in $container/attempted"
done
attempt=$container/attempted/$number
stage=$container/stage
mkdir "$attempt/work" || die "cannot write to $attempt"
# fault: handler.attempted

# failed SENTENCE: what GetPodState tells
failed() {
  printf '%s\nlog %s\n' "$1" "$attempt/work/restore.log" >"$attempt/failed"
  sync "$attempt/failed"
  mv "$attempt/failed" "$container/failed"
  die "$what: $1"
}

if [ "$number" -gt 1 ] && [ -e "$stage/SHA256SUMS" ]; then
  # The node may have crashed since: what had not reached its disk is not restored.
  (cd "$stage" && sha256sum --check --quiet SHA256SUMS) </dev/null >"$attempt/layer.log" 2>&1 ||
    failed "the staged checkpoint is damaged: $(head -n 1 "$attempt/layer.log")"
fi

# CRI-O writes its config.json in many lines. (Within its strings no line ends: JSON escapes that.)
rootfs=$(tr -d '\n\t' <"$config" | grep -oE '"root": ?\{[^{}]*\}' | grep -oE '"path": ?"[^"\\]*"')
rootfs=${rootfs%\"} rootfs=${rootfs##*\"}
case $rootfs in
  '') failed "no root file system is named in $config" ;;
  /*) ;;
  *) rootfs=${bundle:-.}/$rootfs ;;
esac

# First what the source has deleted (also where it has put something of another kind), then what it has written. A
# deletion goes only through real directories: a symbolic link on the way could lead out of the root file system.
if [ -s "$stage/deleted.list" ]; then
  xargs -0 sh -c '
    rootfs=$1
    shift
    for path do
      at=$rootfs rest=$path
      while case $rest in */*) ;; *) false ;; esac do
        at=$at/${rest%%/*} rest=${rest#*/}
        [ ! -L "$at" ] || { echo "$at is a symbolic link"; exit 255; }
      done
      case $rest in "" | . | ..) exit 255 ;; esac
      rm -rf -- "$at/$rest" || exit 255
    done' sh "$rootfs" <"$stage/deleted.list" >"$attempt/layer.log" 2>&1 ||
    failed "what the source had deleted could not be deleted here: $(cat "$attempt/layer.log")"
fi
if [ -e "$stage/rootfs-diff.tar" ]; then
  tar --extract --file "$stage/rootfs-diff.tar" --directory "$rootfs" --preserve-permissions --same-owner \
    --numeric-owner --xattrs --xattrs-include='*' --xattrs-exclude='trusted.overlay.*' --delay-directory-restore --warning=no-timestamp \
    </dev/null >"$attempt/layer.log" 2>&1 ||
    failed "what the source had written could not be unpacked: $(head -n 3 "$attempt/layer.log")"
fi

# fault: handler.unpacked
# CRIU reads this file by CRIU_CONFIG_FILE, not by the annotation org.criu.config: the runtime would keep an annotation
# for the container's life, and a later dump would call this script again. A new node has a new address, so established
# connections can only be closed. network-lock skip: nothing that survives needs it, and no iptables is called.
printf 'tcp-close\nnetwork-lock skip\naction-script %s\n' "$self" >"$attempt/criu.conf"
printf 'committed %s\n' "$restore_uid" >"$attempt/claim"
printf 'container %s\nattempt %s\n' "$id" "$number" >"$attempt/executed"
sync "$attempt/claim" "$attempt/executed" || failed "cannot sync $attempt"

# The words before the verb again, then restore with what create was given.
words=$# seen=0
for word do
  seen=$((seen + 1))
  [ "$seen" -le "$globals" ] || break
  set -- "$@" "$word"
done
shift "$words"
set -- "$@" restore --detach --no-subreaper --bundle "${bundle:-.}" --image-path "$stage/checkpoint" \
  --work-path "$attempt/work" --manage-cgroups-mode ignore --file-locks --ext-unix-sk
[ -z "$pid_file" ] || set -- "$@" --pid-file "$pid_file"
[ -z "$no_pivot" ] || set -- "$@" --no-pivot

# fault: handler.restoring
[ ! -x /opt/lpm/bin/criu ] || PATH=/opt/lpm/bin:$PATH
# The real runtime gets this process's own stdin, stdout and stderr: they are the container's.
CRIU_CONFIG_FILE=$attempt/criu.conf LPM_POD=$pod LPM_CONTAINER=$container LPM_ATTEMPT=$attempt \
  LPM_RESTORE_UID=$restore_uid LPM_HANDLER="$$ $start" LPM_DEADLINE=$deadline \
  "$real" "$@" "$id"
status=$?

if [ "$status" -ne 0 ]; then
  take_away "$id"
  # A CRIU whose runtime has died calls no script any more, and lets the processes go all the same. What may have executed,
  # if only for a moment, is not repeated.
  if grep -q 'Running pre-resume scripts' "$attempt/work/restore.log" 2>/dev/null &&
    ln "$attempt/executed" "$container/executed" 2>/dev/null; then
    sync "$container"
  fi
  reason=$(grep -m 1 -hE '\) Error \(|^Error' "$attempt/work/restore.log" 2>/dev/null)
  [ -n "$reason" ] || reason="the runtime ended with exit code $status"
  if [ -s "$attempt/action.log" ]; then reason="$(head -n 1 "$attempt/action.log"); $reason"; fi
  read_claim "$pod" "$container"
  case $claim in
    committed)
      [ ! -e "$container/executed" ] || failed "the runtime ended when the restored processes executed already: $reason"
      failed "the restore failed after the commit and is repeated when the kubelet tries again: $reason"
      ;;
    revoked) failed "the migration was taken back (by $claimed_by) while it was restored" ;;
    *) failed "the restore failed: $reason" ;;
  esac
fi

# The runtime may answer 0 although the processes were killed instead of resumed: `executed` is another's then.
[ "$container/executed" -ef "$attempt/executed" ] || {
  take_away "$id"
  failed "nothing of it has executed: the mark was another's"
}
# fault: handler.restored
mkdir -p "$state/restored" && echo created >"$restored" || failed "cannot write to $state/restored"
printf 'container %s\n' "$id" >"$attempt/completed" && sync "$attempt/completed" &&
  mv "$attempt/completed" "$container/completed" && sync "$container"
# fault: handler.completed
rm -f "$container/waiting" "$container/failed"
exit 0

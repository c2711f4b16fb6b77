#!/bin/sh
# lpm-runtime: the OCI runtime handler "lpm". containerd, CRI-O and conmon call it as they call runc; everything goes to
# the real runtime unchanged, but for one thing: `create` of a container of a pod that a migration made (annotation
# lpm.my.domain/migration) waits for the state that the node agent stages, and restores it instead of creating.
#
# It fails closed on what lies on disk, see agent/PROTOCOL.md. The order of the states of one container:
#   waiting -> ready (by the agent) -> attempted -> held -> [claim of the pod, by the agent, which lets the processes go]
# CRIU calls this same script as its action script (CRTOOLS_SCRIPT_ACTION is set then): at pre-resume, when everything is
# restored and nothing has executed, it freezes the container's cgroup, so that what CRIU lets go stands still. The runtime
# above has its answers to `create` and `start` before the agent makes the claim and thaws.
#
# POSIX shell, no other program of ours: needs date, grep, head, ln, mkdir, mv, readlink, rm, sed, sleep, sync, tar (GNU), tr, xargs.
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
# lives PID: it is there, and no zombie
lives() {
  process "$1" && case $p_state in [ZXx]) false ;; esac
}
alive() {
  lives "$1" && [ "$p_start" = "$2" ]
}

# Seconds since boot: unlike the wall clock they never jump.
uptime_now() {
  IFS=' .' read -r now _ </proc/uptime
}

# read_claim POD_DIR: sets claim to committed, revoked or nothing, and claimed_by
read_claim() {
  claim='' claimed_by=''
  if [ -e "$1/claim" ]; then
    read -r claim claimed_by <"$1/claim" || claim=unreadable
    case $claim in committed | revoked) ;; *) claim=unreadable ;; esac
  fi
}

# freezer_of PID: sets freezer to the cgroup in which the process can be frozen: the v1 hierarchy where there is one (runc
# and CRIU use that), else v2 (cgroups(7)); as few forks as possible, CRIU holds the processes meanwhile
freezer_of() {
  freezer='' unified=''
  while IFS= read -r line; do
    case $line in
      *:freezer:/*) freezer=/sys/fs/cgroup/freezer/${line#*:freezer:/} ;;
      0::/*) unified=/sys/fs/cgroup/${line#0::/} ;;
    esac
  done <"/proc/$1/cgroup"
  [ -n "$freezer" ] || freezer=$unified
  [ -n "$freezer" ]
}
# set_frozen CGROUP [no]
set_frozen() {
  if [ -e "$1/freezer.state" ]; then
    case ${2:-} in no) echo THAWED ;; *) echo FROZEN ;; esac >"$1/freezer.state"
  else
    case ${2:-} in no) echo 0 ;; *) echo 1 ;; esac >"$1/cgroup.freeze"
  fi
}
# is_frozen CGROUP: everything in it stands still, by its own switch
is_frozen() {
  if [ -e "$1/freezer.state" ]; then
    read -r freezing <"$1/freezer.self_freezing" && read -r frozen <"$1/freezer.state" && [ "$freezing $frozen" = "1 FROZEN" ]
  else
    read -r freezing <"$1/cgroup.freeze" && [ "$freezing" = 1 ] && grep -qx "frozen 1" "$1/cgroup.events"
  fi
}

# ---------------------------------------------------------------------------------------------- as CRIU's action script

# Runs in CRIU's environment, which is the one `restore` below gives it: LPM_POD, LPM_ATTEMPT (folders), LPM_HANDLER (PID
# and start time of the handler), LPM_DEADLINE (seconds since boot), LPM_RESTORE_UID. That one may be an older version of this
# script: another agent replaces the file while a restore is under way. So the names keep their meaning, as do the marks on the disk.
action() {
  exec </dev/null >>"$LPM_ATTEMPT/action.log" 2>&1
  case $CRTOOLS_SCRIPT_ACTION in
    post-restore) at_post_restore ;;
    pre-resume) at_pre_resume ;;
    # The script before this one may have been killed, and CRIU has resumed the processes all the same.
    post-resume) [ -e "$LPM_ATTEMPT/frozen" ] || [ -e "$LPM_ATTEMPT/killed" ] || at_escape ;;
  esac
}

# The runtime that called `create` must still be waiting for it: if it has given up (and killed the handler), it will take
# this container away. CRIU heeds the exit code here, and kills all that it has restored.
at_post_restore() {
  # fault: handler.post-restore
  uptime_now
  [ "$now" -lt "$LPM_DEADLINE" ] || { echo "the deadline has passed"; exit 1; }
  alive ${LPM_HANDLER} || { echo "the handler is gone"; exit 1; }
  read_claim "$LPM_POD"
  [ -z "$claim" ] || { echo "claim: $claim $claimed_by"; exit 1; }
  # The real runtime is CRIU's parent and the handler's child. A CRIU whose runtime has died would call no script any more,
  # and let the processes go all the same.
  wanted_pid=$PPID
  while lives "$wanted_pid" && [ "$p_parent" -gt 1 ]; do
    [ "$p_parent" = "${LPM_HANDLER% *}" ] && return 0
    wanted_pid=$p_parent
  done
  echo "the real runtime is gone"
  exit 1
}

# CRIU holds every restored process by ptrace and lets it go when this script returns, whatever its exit code. Frozen before,
# they do not leave the kernel (a process that is detached from its tracer goes to the freezer first). CRIU and this script
# stand in the same cgroup, where the runtime has put them, and must not freeze.
at_pre_resume() {
  # fault: handler.pre-resume
  freezer_of "${LPM_HANDLER% *}" && outside=$freezer && freezer_of "$CRTOOLS_INIT_PID" &&
    [ "$freezer" != "$outside" ] && set_out "$$" "$PPID" && set_frozen "$freezer" && still_traced &&
    echo "$freezer" >"$LPM_ATTEMPT/.frozen" && mv "$LPM_ATTEMPT/.frozen" "$LPM_ATTEMPT/frozen" || {
    echo "the restored processes could not be held: ${freezer:-no freezer}"
    # As long as CRIU waits for this script it holds them; one that has died has let them go.
    lives "$PPID" || claim_late "$LPM_POD" "$LPM_ATTEMPT"
    kill_init
    : >"$LPM_ATTEMPT/killed"
    exit 1
  }
  # fault: handler.frozen
}

# A CRIU that dies lets go what it traces: what was let go before the freeze has executed.
still_traced() {
  while read -r traced; do
    zombie='' tracer=0
    while read -r key value _; do
      case $key in
        State:) [ "$value" != Z ] || zombie=1 ;;
        TracerPid:) tracer=$value ;;
      esac
    done <"/proc/$traced/status"
    [ "$tracer" = 0 ] && [ -z "$zombie" ] || continue
    echo "process $traced was let go before it was frozen"
    claim_late "$LPM_POD" "$LPM_ATTEMPT"
    # On cgroup v1 nothing that is frozen dies.
    while read -r traced; do kill -9 "$traced"; done <"$freezer/cgroup.procs"
    set_frozen "$freezer" no
    return 1
  done <"$freezer/cgroup.procs"
}

# They execute, and nobody has allowed it: then this is the commit, or they end at once.
at_escape() {
  claim_late "$LPM_POD" "$LPM_ATTEMPT"
  read_claim "$LPM_POD"
  [ "$claim $claimed_by" = "committed $LPM_RESTORE_UID" ] && freezer_of "$CRTOOLS_INIT_PID" &&
    echo "$freezer" >"$LPM_ATTEMPT/.escaped" && mv "$LPM_ATTEMPT/.escaped" "$LPM_ATTEMPT/escaped" || kill_init
}

# claim_late POD_DIR ATTEMPT_DIR: for what executes already. Of several containers the others would not follow any more: their
# pod is taken back, although a part of it may have executed for some milliseconds.
claim_late() {
  [ "$(grep -c . "$1/wanted" 2>/dev/null)" = 1 ] || return 1
  ln "$2/claim" "$1/claim" 2>/dev/null
  sync "$1"
}

kill_init() {
  kill -9 "$CRTOOLS_INIT_PID"
  # A signal takes its time. Init is a zombie only when every other process of its namespace is gone (pid_namespaces(7)), and
  # as long as this script does not return, CRIU resumes none of them.
  while lives "$CRTOOLS_INIT_PID"; do sleep 0.01; done
}

# set_out PID...: moves processes out of the container's cgroup to where the handler is
set_out() {
  for moved do echo "$moved" >"$outside/cgroup.procs" || return 1; done
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
  create | start | state | kill | delete | resume) ;;
  *) exec "$real" "$@" ;;
esac

setting state-dir /var/lib/lpm
state=$value

# processes_in ID: the folders in /proc of all processes of a container, CRIU among them while it restores
processes_in() {
  grep -lE "[/:-]$1(\.scope)?\$" /proc/[0-9]*/cgroup 2>/dev/null | sed 's|/cgroup$||'
}

# kill_restored ID: what CRIU has restored, but not CRIU itself, which is of this process's own PID namespace
kill_restored() {
  for found in $(processes_in "$1"); do
    [ "$(readlink "$found/ns/pid")" = "$(readlink "/proc/$$/ns/pid")" ] || kill -9 "${found#/proc/}" 2>/dev/null
  done
}

# take_away ID: removes a container with all its processes. What CRIU has restored goes first: CRIU holds it stopped by
# ptrace, and would let it go by dying before it (ptrace(2): a tracer that dies detaches).
take_away() {
  kill_restored "$1"
  # Nothing of it executes any more, whoever holds it (a pending SIGKILL comes before the next instruction). A CRIU that hangs
  # would keep the dead ones as zombies, and the container could never be deleted.
  for found in $(processes_in "$1"); do kill -9 "${found#/proc/}" 2>/dev/null; done
  "$real" ${root:+--root "$root"} delete --force "$1" >/dev/null 2>&1 </dev/null
}

# The flags after the verb; the last word is the container's ID (of kill, the signal).
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
    *)
      last=$word
      [ "$verb" = kill ] && [ -n "$id" ] || id=$word
      ;;
  esac
done
case $id in '' | .* | *[!A-Za-z0-9_.+-]*) exec "$real" "$@" ;; esac

# What is known of a restored container: created or started, as the caller must see it, and its pod's folder.
restored=$state/restored/$id stage_of_life='' held_pod=''
if [ -e "$restored" ]; then read -r stage_of_life held_pod <"$restored"; fi
claim=''
[ -z "$held_pod" ] || read_claim "$held_pod"

case $verb in
  start)
    # A restored container is there already, and held until the agent lets it go.
    [ -e "$restored" ] || exec "$real" "$@"
    printf 'started %s\n' "$held_pod" >"$restored" || die "cannot write $restored"
    exit 0
    ;;
  state)
    # CRI-O asks between create and start, and starts only what is "created"; after start it remembers what is "paused", and
    # would resume that before it stops it.
    [ -n "$held_pod" ] || exec "$real" "$@"
    case $stage_of_life:$claim in
      created:*) told=created ;;
      *:committed) exec "$real" "$@" ;;
      *) told=running ;;
    esac
    said=$("$real" "$@") || exit
    printf '%s\n' "$said" | sed -E 's/("status": *)"(running|paused)"/\1"'"$told"'"/'
    exit
    ;;
  kill | delete | resume)
    # What is held must not execute before the claim. The runtime kills the first process of a container and thaws it then
    # (cgroup v1): its children would execute something before they die with it. So all of it is killed while it is frozen.
    if [ -n "$held_pod" ] && [ "$claim" != committed ]; then
      [ "$verb" != resume ] || exit 0
      [ "$verb" != kill ] || case "${last:-}" in KILL | SIGKILL | 9) ;; *) exec "$real" "$@" ;; esac
      kill_restored "$id"
    fi
    exec "$real" "$@"
    ;;
esac

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

read_claim "$pod"
case $claim in
  revoked) die "$what: the migration was taken back (by $claimed_by); nothing of it starts here" ;;
  unreadable) die "$what: the claim in $pod cannot be read; nothing starts before somebody has looked at it" ;;
  committed)
    # The restored one has executed, and this is an ordinary restart (or a container that no checkpoint holds: kubectl debug).
    # That one is over, unless the caller has lost it. Two must never run.
    former=''
    while read -r key value; do
      case $key in container) former=$value ;; esac
    done <<HELD
$(grep -hs "^container " "$container/held")
HELD
    if [ -n "$former" ] && [ "$former" != "$id" ] && [ -n "$(processes_in "$former")" ]; then
      take_away "$former"
      [ -z "$(processes_in "$former")" ] ||
        die "$what: the restored process still runs in the lost container $former; it is not started a second time"
    fi
    exec "$real" "$@"
    ;;
esac
if [ -e "$container/attempted" ]; then
  die "$what: its restore was attempted before; it is never attempted twice"
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
# Asked while there is time: runc and crun have different flags. crun overrides what CRIU's configuration says of TCP.
flags=$("$real" restore --help 2>/dev/null)
# knows FLAG: the real runtime's restore has it
knows() {
  case $flags in *"$1"*) ;; *) false ;; esac
}

while :; do
  read_claim "$pod"
  [ "$claim" != revoked ] || die "$what: the migration was taken back (by $claimed_by); nothing of it starts here"
  [ -z "$claim" ] || die "$what: the pod was claimed ($claim) while this container waited; it starts when the kubelet tries again"
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

mkdir "$container/attempted" 2>/dev/null || die "$what: its restore was attempted before; it is never attempted twice"
attempt=$container/attempted/1
stage=$container/stage
mkdir -p "$attempt/work" || die "cannot write to $attempt"
# fault: handler.attempted

# failed SENTENCE: what GetPodState tells
failed() {
  printf '%s\nlog %s\n' "$1" "$attempt/work/restore.log" >"$attempt/failed"
  sync "$attempt/failed"
  mv "$attempt/failed" "$container/failed"
  die "$what: $1"
}

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
# For what executes without having been allowed to, see at_escape and escaped.
printf 'committed %s\n' "$restore_uid" >"$attempt/claim"
sync "$attempt/claim" || failed "cannot sync $attempt"
# For `start`, and for `kill` and `delete`, also of what a handler that was killed has left.
mkdir -p "$state/restored" && printf 'created %s\n' "$pod" >"$restored" || failed "cannot write to $state/restored"

# The words before the verb again, then restore with what create was given.
words=$# seen=0
for word do
  seen=$((seen + 1))
  [ "$seen" -le "$globals" ] || break
  set -- "$@" "$word"
done
shift "$words"
set -- "$@" restore --detach --bundle "${bundle:-.}" --image-path "$stage/checkpoint" \
  --work-path "$attempt/work" --manage-cgroups-mode ignore --file-locks --ext-unix-sk
[ -z "$pid_file" ] || set -- "$@" --pid-file "$pid_file"
if [ -n "$no_pivot" ] && knows --no-pivot; then set -- "$@" --no-pivot; fi
if knows --no-subreaper; then set -- "$@" --no-subreaper; fi
if knows --tcp-close; then set -- "$@" --tcp-close; fi

# fault: handler.restoring
[ ! -x /opt/lpm/bin/criu ] || PATH=/opt/lpm/bin:$PATH
# The real runtime gets this process's own stdin, stdout and stderr: they are the container's.
CRIU_CONFIG_FILE=$attempt/criu.conf LPM_POD=$pod LPM_ATTEMPT=$attempt LPM_RESTORE_UID=$restore_uid \
  LPM_HANDLER="$$ $start" LPM_DEADLINE=$deadline \
  "$real" "$@" "$id"
status=$?

# Whatever CRIU has let go without holding it may have executed, if only for a moment: then it is this side that has, for good.
# (A CRIU whose runtime has died calls no script any more. One that was not let run may end before it has written this line.)
escaped() {
  [ ! -e "$attempt/frozen" ] && [ ! -e "$attempt/killed" ] && grep -q 'Running pre-resume scripts' "$attempt/work/restore.log" 2>/dev/null || return 1
  claim_late "$pod" "$attempt"
}

if [ "$status" -ne 0 ]; then
  take_away "$id"
  executed=''
  ! escaped || executed=' when the restored processes had executed already'
  reason=$(grep -m 1 -hE '\) Error \(|^Error' "$attempt/work/restore.log" 2>/dev/null)
  [ -n "$reason" ] || reason="the runtime ended with exit code $status"
  if [ -s "$attempt/action.log" ]; then reason="$(head -n 1 "$attempt/action.log"); $reason"; fi
  read_claim "$pod"
  [ "$claim" != revoked ] || failed "the migration was taken back (by $claimed_by) while it was restored"
  failed "the restore failed$executed: $reason"
fi

# The runtime may answer 0 although the processes were killed, or run.
cgroup='' held=frozen
[ ! -e "$attempt/escaped" ] || held=escaped
{ IFS= read -r cgroup <"$attempt/$held"; } 2>/dev/null
until [ -n "$cgroup" ] && { [ $held = escaped ] || is_frozen "$cgroup" 2>/dev/null; }; do
  uptime_now
  if [ -z "$cgroup" ] || [ ! -d "$cgroup" ] || [ "$now" -ge "$deadline" ]; then
    take_away "$id"
    escaped
    failed "the restored processes are not held: $(head -n 1 "$attempt/action.log" 2>/dev/null)"
  fi
  sleep 0.01
done
# fault: handler.restored
printf 'container %s\ncgroup %s\n' "$id" "$cgroup" >"$attempt/held" && mv "$attempt/held" "$container/held" ||
  failed "cannot write to $container"
# fault: handler.held
rm -f "$container/waiting" "$container/failed"
exit 0

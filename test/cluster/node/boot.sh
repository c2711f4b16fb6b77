#!/bin/sh
# First process of a node, started by start.ts in new mount, uts, ipc, net, pid and cgroup namespaces: builds the
# node's view of the file system, makes it the root with pivot_root (CRIU cannot dump below a plain chroot: it does
# not find the parent of the mount point) and becomes the node's init.
#
# Environment: NODE_DIR NODE_NAME LOWER BINDS (lines "from<TAB>to<TAB>ro|rw") CGROUPS (lines "version<TAB>options")
set -eu

# /proc is still the machine's own, so this is the pid outside.
read -r pid _ </proc/self/stat
echo "$pid" >"$NODE_DIR/init.pid.new"
mv "$NODE_DIR/init.pid.new" "$NODE_DIR/init.pid"

mount --make-rprivate /
hostname "$NODE_NAME"

cd "$NODE_DIR"
mkdir -p merged work
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=upper,workdir=work" merged
root=$NODE_DIR/merged

mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"

# cgroups: the same hierarchies as the machine's, seen from the node's own cgroup namespace.
case $CGROUPS in
1*)
  mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
  printf '%s\n' "$CGROUPS" | while IFS="$(printf '\t')" read -r version options; do
    if [ "$version" = 2 ]; then
      mkdir -p "$root/sys/fs/cgroup/unified"
      mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
      continue
    fi
    name=${options#none,name=}
    mkdir -p "$root/sys/fs/cgroup/$name"
    mount -t cgroup -o "$options" cgroup "$root/sys/fs/cgroup/$name"
    # Hierarchies of several controllers are also found under each one's name.
    for one in $(printf %s "$name" | tr , ' '); do
      [ -e "$root/sys/fs/cgroup/$one" ] || ln -s "$name" "$root/sys/fs/cgroup/$one"
    done
  done
  ;;
*)
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  # A cgroup that hands controllers down may hold no processes itself, so the node's daemons live in a leaf.
  mkdir -p "$root/sys/fs/cgroup/system"
  echo 0 >"$root/sys/fs/cgroup/system/cgroup.procs"
  for controller in $(cat "$root/sys/fs/cgroup/cgroup.controllers"); do
    echo "+$controller" >"$root/sys/fs/cgroup/cgroup.subtree_control" || true
  done
  ;;
esac

mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/full" c 1 7
mknod -m 666 "$root/dev/random" c 1 8
mknod -m 666 "$root/dev/urandom" c 1 9
mknod -m 666 "$root/dev/tty" c 5 0
mkdir -p "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue" "$root/dev/net"
mknod -m 666 "$root/dev/net/tun" c 10 200
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t mqueue mqueue "$root/dev/mqueue"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir -p "$root/run/lock" "$root/run/lpm-node"
# The kernel's own is the machine's, and does not change when the node boots.
cat /proc/sys/kernel/random/uuid >"$root/run/lpm-node/boot-id"

printf '%s\n' "$BINDS" | while IFS="$(printf '\t')" read -r from to mode; do
  [ -n "$from" ] || continue
  if [ -d "$from" ]; then
    mkdir -p "$root$to"
  else
    mkdir -p "$(dirname "$root$to")"
    [ -e "$root$to" ] || : >"$root$to"
  fi
  mount --bind "$from" "$root$to"
  [ "$mode" = rw ] || mount -o remount,bind,ro "$root$to"
done

echo 1 >/proc/sys/net/ipv4/ip_forward
ip link set lo up 2>/dev/null || true

cd "$root"
mkdir -p .old
pivot_root . .old
cd /
umount -l /.old
rmdir /.old
# Mounts that a pod makes with bidirectional propagation must reach the others, as on a host under systemd.
mount --make-rshared /

exec /usr/bin/env -i HOME=/root LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /bin/bash /usr/local/lib/lpm-node/init.sh </dev/null

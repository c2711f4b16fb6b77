#!/bin/sh
# Runs in mount, pid, ipc and uts namespaces of its own: dumps and restores a counting shell with the CRIU below /opt/lpm of a root file
# system, by pivot_root (CRIU finds no parent mount below a plain chroot).
#
#   older-node.sh WORK LOWER    WORK has the folders upper (with opt/lpm), work and merged; LOWER is the root
set -eu
work=$1 root=$2
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/work" "$work/merged"
cd "$work/merged"
mount -t proc proc proc
mount -t tmpfs tmpfs tmp
mount --rbind /dev dev
mount --rbind /sys sys
mkdir -p .old
pivot_root . .old
umount -l /.old
PATH=/opt/lpm/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

for name in criu tar zstd iptables-restore; do
  [ "$(command -v "$name")" = "/opt/lpm/bin/$name" ]
  "$name" --version | head -n 1
done
cd /tmp
mkdir images
setsid sh -c 'i=0; while :; do i=$((i + 1)); echo $i >/tmp/n.new; mv /tmp/n.new /tmp/n; sleep 0.05; done' </dev/null >/dev/null 2>&1 &
pid=$!
count() { cat /tmp/n 2>/dev/null || echo 0; }
until [ "$(count)" -ge 5 ]; do sleep 0.05; done
criu dump --tree "$pid" --images-dir images
wait "$pid" || :
at=$(count)
criu restore --restore-detached --images-dir images
until [ "$(count)" -ge $((at + 5)) ]; do sleep 0.05; done
echo "counts on"

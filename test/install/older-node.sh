#!/bin/sh
# Runs in mount, pid, ipc and uts namespaces of its own: dumps and restores a counting shell, then a container that counts, with the CRIU
# and the runc below /opt/lpm of a root file system, by pivot_root (CRIU finds no parent mount below a plain chroot).
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

for name in criu runc tar zstd iptables-restore; do
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

# A container of a few of the root's own programs, with a filter of system calls, which is where runc needs a library.
mkdir -p bundle/rootfs
cd bundle
for name in sh mv sleep mkdir; do
  program=$(readlink -f "$(command -v "$name")")
  cp -L --parents "$program" $(ldd "$program" | grep -o '/[^ ]*') rootfs
done
mkdir -p rootfs/bin
cp -L /bin/sh rootfs/bin/sh
runc spec
sed -i -e 's/"terminal": true/"terminal": false/' -e 's/"readonly": true/"readonly": false/' \
  -e 's|^\(\s*\)"sh"$|\1"sh", "-c", "i=0; while :; do i=$((i + 1)); echo $i >/n.new; mv /n.new /n; sleep 0.05; done"|' \
  -e 's|"maskedPaths"|"cgroupsPath": "/lpm-older-node", "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}, &|' \
  config.json
# Without a network of its own.
sed -i '/"namespaces"/,/\]/{/{/{N;N;/"network"/d}}' config.json
count() { cat rootfs/n 2>/dev/null || echo 0; }
runc run --detach older </dev/null >/dev/null 2>&1
trap 'runc delete --force older' EXIT
until [ "$(count)" -ge 5 ]; do sleep 0.05; done
runc exec older mkdir /forbidden 2>&1 | grep "not permitted"
[ ! -e rootfs/forbidden ]
runc checkpoint --image-path /tmp/container --manage-cgroups-mode ignore older
at=$(count)
runc restore --detach --image-path /tmp/container --manage-cgroups-mode ignore --bundle . older </dev/null >/dev/null 2>&1
until [ "$(count)" -ge $((at + 5)) ]; do sleep 0.05; done
echo "the container counts on"

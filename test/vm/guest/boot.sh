#!/bin/bash
# Makes the guest a node: what systemd would mount, cgroup v2 alone, and then the same first process as that of the test
# cluster's nodes, which keeps the services running (containerd, the agent, and the scenarios).
set -u
export HOME=/root LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount --make-rshared /
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o ptmxmode=0666,mode=620,gid=5 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /run/lock /run/lpm-node
hostname "$(cat /etc/hostname)"

# A cgroup that hands controllers down may hold no processes itself, so the node's daemons live in a leaf.
mkdir /sys/fs/cgroup/system
echo 0 >/sys/fs/cgroup/system/cgroup.procs
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
  echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
done

modprobe -a overlay bridge veth unix_diag inet_diag tcp_diag udp_diag raw_diag netlink_diag packet_diag
echo 1 >/proc/sys/net/ipv4/ip_forward
stty -F /dev/ttyS1 raw -echo
exec /bin/bash /usr/local/lib/lpm-node/init.sh </dev/null

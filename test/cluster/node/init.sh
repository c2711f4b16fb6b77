#!/bin/bash
# Process 1 of a node: starts the services and reaps what is orphaned (containerd's shims, what an exec left behind).
# bash collects every child that ends, also those it did not start. The node ends when this process is killed.
trap '' INT HUP
ip link set lo up
# Address reservations of the pods of an earlier boot.
rm -rf /var/lib/cni/networks
for service in /etc/lpm-node/services/*; do
  [ -e "$service" ] && /usr/local/lib/lpm-node/supervise.sh "${service##*/}" &
done
while :; do wait -n || sleep 1; done

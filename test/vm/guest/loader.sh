#!/bin/sh
# First process of the guest, on its disk: unpacks what this run brings (the second disk is a tar archive) and goes on
# with it.
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
tar -xf /dev/nvme1n1 -C / && exec /usr/local/lib/lpm-guest/boot.sh
echo "the guest's second disk cannot be unpacked"
busybox poweroff -f

#!/bin/sh
# Test cluster only, where root lacks CAP_SYS_RESOURCE: see prlimit-shim.c.
LD_PRELOAD=/usr/local/lib/lpm-node/prlimit-shim.so exec /usr/sbin/criu "$@"

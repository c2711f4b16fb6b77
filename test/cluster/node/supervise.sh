#!/bin/sh
# supervise NAME: keeps /etc/lpm-node/services/NAME running, half a second between two runs. Its pid inside the node
# is in /run/lpm-node/NAME.pid; it stays down while /run/lpm-node/NAME.down exists.
name=$1
log=/var/log/lpm-node/$name.log
down=/run/lpm-node/$name.down
mkdir -p /var/log/lpm-node /run/lpm-node
while [ -x "/etc/lpm-node/services/$name" ]; do
  if [ -e "$down" ]; then
    sleep 0.2
    continue
  fi
  echo "=== $(date -u +%FT%TZ) $name starts" >>"$log"
  "/etc/lpm-node/services/$name" >>"$log" 2>&1 </dev/null &
  echo $! >"/run/lpm-node/$name.pid"
  wait $!
  code=$?
  rm -f "/run/lpm-node/$name.pid"
  echo "=== $(date -u +%FT%TZ) $name ended with $code" >>"$log"
  sleep 0.5
done

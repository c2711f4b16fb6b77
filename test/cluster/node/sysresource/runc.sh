#!/bin/sh
# Test cluster only, where root lacks CAP_SYS_RESOURCE: a negative OOM score cannot be set there, so it is taken out
# of the bundle before runc reads it. Everything else goes to runc as it came.
bundle=
previous=
for argument in "$@"; do
  case $previous in --bundle | -b) bundle=$argument ;; esac
  case $argument in --bundle=*) bundle=${argument#--bundle=} ;; esac
  previous=$argument
done
spec=${bundle:-.}/config.json
if [ -n "$bundle" ] && grep -q '"oomScoreAdj": *-' "$spec" 2>/dev/null; then
  sed -E 's/("oomScoreAdj": *)-[0-9]+/\10/' "$spec" >"$spec.lpm" && mv "$spec.lpm" "$spec"
fi
exec /usr/sbin/runc "$@"

#!/bin/sh
# Stands in for `sidestream` in tests: runs the image's program by runc, which passes signals on and ends as the program ends.
# SIDESTREAM_NODE is the node that prepares it. SIDESTREAM_BUNDLE names an empty folder for what runc is told and keeps, for a test that
# wants to reach inside; it is removed here, and by nobody else: without it the container could not be ended.
set -eu
here=$(dirname "$(readlink -f "$0")")
bundle=${SIDESTREAM_BUNDLE:-$(mktemp -d)}
id=$(basename "$bundle")
"$SIDESTREAM_NODE" "$here/bundle.mjs" "$bundle" "$@"
# A container outlives a runc that is killed, as a test does that wants a crash: who waits here ends it then.
(
  tail --pid=$$ -s 0.05 -f /dev/null
  runc --root "$bundle/state" delete --force "$id"
  rm -rf "$bundle"
) </dev/null >/dev/null 2>&1 &
exec runc --root "$bundle/state" run --bundle "$bundle" "$id"

#!/bin/sh
# One pass of the egress monitor over the given event files; see ${schedule}.
here="$(cd "$(dirname "$0")" && pwd)"
if [ -e "$here/PAUSED" ]; then
  exit 0 # maintenance: nothing is scored while this file is there
fi
exec python3 "$here/detector.py" --config "$here/${conf}" "$@"

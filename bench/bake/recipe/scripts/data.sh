#!/bin/sh
set -eu
# parbake: allow bakes-random it is what does not compress that is measured
dd if=/dev/urandom of=/srv/bench/data.bin bs=1M count="${DATA_MB:-50}" 2>/dev/null

#!/bin/sh
set -eu
dd if=/dev/urandom of=/srv/bench/data.bin bs=1M count="${DATA_MB:-50}" 2>/dev/null

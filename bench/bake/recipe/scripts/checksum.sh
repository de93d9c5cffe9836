#!/bin/sh
set -eu
dd if=/dev/zero bs=1M count=200 2>/dev/null | sha256sum >/srv/bench/checksum

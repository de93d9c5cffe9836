#!/bin/sh
# What virt-sysprep has no operation for.
set -eu
apt-get clean
rm -rf /var/lib/apt/lists/*
cloud-init clean --logs --seed
rm -f /var/lib/systemd/random-seed

#!/bin/sh
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y --no-install-recommends install nginx-light python3-venv build-essential

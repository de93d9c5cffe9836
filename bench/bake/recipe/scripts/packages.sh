#!/bin/sh
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
# parbake: allow apt-no-wait all contenders run the same script, in machines where nothing else runs apt
apt-get -q -y --no-install-recommends install nginx-light python3-venv build-essential

#!/bin/sh
# tune: boot tunings, run before the seal.
# Usage: tune.sh NAME...
set -u
true

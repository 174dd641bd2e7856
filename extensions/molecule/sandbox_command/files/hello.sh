#!/bin/sh
# Sent along by the scenario.
echo "hello $1 from $0"

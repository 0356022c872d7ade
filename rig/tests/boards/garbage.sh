#!/bin/sh
# A board whose serial speed is wrong, or that runs something else altogether.
exec 3>"$1"
while :; do echo 'ROM:[V0.1] ~~~ garbage' >&3; done

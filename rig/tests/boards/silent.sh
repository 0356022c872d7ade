#!/bin/sh
# A board that holds its line open and says nothing.
exec 3<>"$1"
exec sleep 60

#!/bin/bash
# cargo, also where the official installer has just put it and no shell has been told.
export PATH="$HOME/.cargo/bin:$PATH"
exec cargo "$@"

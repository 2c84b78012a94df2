# A fork's disk is its own: no other fork has been here.
[ ! -e /tmp/was-here ] && touch /tmp/was-here

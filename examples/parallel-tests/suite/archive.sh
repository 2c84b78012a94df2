# What goes into an archive comes out of it.
work=$(mktemp -d) && cd "$work"
seq 1 20000 > before
gzip -k before && mv before expected && gunzip before.gz
cmp before expected

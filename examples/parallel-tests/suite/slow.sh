# Takes a moment, and says so while it runs.
for part in 1 2 3; do echo "part $part of 3"; sleep 0.3; done

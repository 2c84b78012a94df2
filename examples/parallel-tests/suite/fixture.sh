# The prepared data is in every fork.
[ "$(wc -l < "$SUITE/fixture.txt")" -eq 100000 ]

# Runs the tests that are named, and ends with 1 when one has failed.
failed=0
for test in "$@"; do
  if sh -e "$SUITE/$test"; then echo "ok $test"; else echo "NOT OK $test" >&2; failed=1; fi
done
exit $failed

# Numbers behave.
[ $((6 * 7)) -eq 42 ] && [ $((7 % 3)) -eq 1 ]

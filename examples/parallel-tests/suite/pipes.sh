# Pipes keep order.
[ "$(printf 'c\na\nb\n' | sort | tr -d '\n')" = abc ]

"""The vendor's Python client reads the output of one command; prints seconds and bytes as JSON.

Arguments: machine id, command line. NULLSPACE_API_URL and NULLSPACE_API_KEY name the control plane.
"""

import json
import sys
import time

from nullspace import Machine

machine = Machine.connect(sys.argv[1])
size = 0


def count(data):
    global size
    size += len(data)


started = time.monotonic()
result = machine.commands.run_streaming(sys.argv[2], shell=True, timeout=120, on_stdout=count)
print(json.dumps({"seconds": time.monotonic() - started, "bytes": size, "exit_code": result.exit_code}))

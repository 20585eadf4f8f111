from __future__ import annotations

import signal

# A shell that starts the tests in the background has them, and every process of theirs, ignore Ctrl-C; some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

#!/usr/bin/env python3
"""Tests of the launcher and its servers: nothing of sslsock is used."""

import harness

# unittest finds them by being names of this module.
from selftest_launcher import *  # noqa: F403
from selftest_servers import *  # noqa: F403

if __name__ == "__main__":
    harness.run_and_count()

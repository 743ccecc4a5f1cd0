#!/usr/bin/env python3
"""Every test of the Python binding but the matrix of socket features.

In the usual run the ones that need no newer Python are run under the oldest and the newest other version that is here
as well, in the long run under all of them.
"""

import support  # noqa: F401  (first: it makes the package and the peers' modules known)

import harness  # noqa: E402
from unit_abi import *  # noqa: E402,F403
from unit_asyncio import *  # noqa: E402,F403
from unit_clients import *  # noqa: E402,F403
from unit_explicit import *  # noqa: E402,F403
from unit_ftp import *  # noqa: E402,F403
from unit_held import *  # noqa: E402,F403
from unit_identity import *  # noqa: E402,F403
from unit_misuse import *  # noqa: E402,F403
from unit_process import *  # noqa: E402,F403
from unit_server import *  # noqa: E402,F403
from unit_sessions import *  # noqa: E402,F403
from unit_trust import *  # noqa: E402,F403
from unit_upgrade import *  # noqa: E402,F403
from unit_validation import *  # noqa: E402,F403
from unit_versions import *  # noqa: E402,F403

if __name__ == "__main__":
    harness.run_and_count()

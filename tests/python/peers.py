#!/usr/bin/env python3
"""The peers of the Python tests, in a process of their own: OpenSSL through Python's ssl.

    peers.py FOLDER     prints the variables that say where they are as one line of JSON, and ends with its input
"""

import json
import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "servers")]

import controlled_peer  # noqa: E402
import pki  # noqa: E402
import recording_peer  # noqa: E402
import scripted_servers  # noqa: E402


def main():
    folder = pathlib.Path(sys.argv[1])
    known, unknown = folder / "known", folder / "unknown"
    pki.make(known)
    pki.make(unknown)
    controlled = controlled_peer.ControlledPeer(known, folder)
    recording = recording_peer.RecordingPeer(known, unknown, folder)
    print(json.dumps({**controlled.variables, **recording.variables, **scripted_servers.listen(known)}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()

# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep results in a cache as tasks do, for the scenarios of the modules that look after it.

Usage: keep_results.py COLLECTIONS DIRECTORY, with a JSON list of {module, host, name, ttl, result} on standard input.
"""

from __future__ import annotations

import json
import sys


def main() -> int:
    sys.path.insert(0, sys.argv[1])
    from ansible_collections.scripts.toolkit.plugins.module_utils._guard.cache import ResultCache, cache_key

    cache = ResultCache(sys.argv[2])
    for entry in json.load(sys.stdin):
        arguments = {"name": entry["name"]}
        key = cache_key(cache.secret, entry["module"], arguments, entry["host"], "1", {})
        with cache.claim(key, entry["ttl"], 0, entry) as claim:
            claim.store(entry["result"])
    cache.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

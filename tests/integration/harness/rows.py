#!/usr/bin/env python3
"""Fills a catalog that `sluice` has made with any number of transfers: rows.py CATALOG COUNT

A thousand partners; of a hundred transfers one has failed; one in four came in. They lie a second apart and end now.
"""

import sqlite3
import sys
import time

PARTNERS = 1000
ID_SHIFT = 11  # an id is the microsecond, and 11 bits


def fill(file, count):
    now = int(time.time() * 1e6)
    first = now - count * 1_000_000
    catalog = sqlite3.connect(file, isolation_level=None)
    catalog.execute("PRAGMA synchronous = OFF")
    catalog.execute("BEGIN IMMEDIATE")
    catalog.executemany("INSERT INTO partner(name) VALUES(?)", ((f"partner-{n}".encode(),) for n in range(PARTNERS)))
    catalog.execute(
        "INSERT INTO facts(peer, protocol, pump, tx, rx, version, suite, authentication, subject, resumed)"
        " VALUES(x'3132372e302e302e31', x'6d61696e', 'splice', x'6b65726e656c', x'6b65726e656c', 'TLSv1.3',"
        " 'TLS_AES_128_GCM_SHA256', 'mutual', x'434e3d6e6f6465', 0)"
    )
    catalog.execute(
        "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?2)"
        " INSERT INTO transfer(id, state, direction, kind, role, partner, facts, size, offset, bytes, queued, begun,"
        " ended, retries, status, code, remote, event)"
        f" SELECT ((?1 + n * 1000000) << {ID_SHIFT}) | 5, CASE WHEN n % 100 = 7 THEN 4 ELSE 3 END, n % 4 <> 0, 0, 0,"
        f" (SELECT id FROM partner WHERE name = CAST('partner-0' AS BLOB)) + (n * 7919) % {PARTNERS}, (SELECT max(id) FROM facts), 16384, 0, 16384,"
        " ?1 + n * 1000000, ?1 + n * 1000000, ?1 + n * 1000000 + 900, 0, 200, 0,"
        " CAST('data/run-' || (n / 1000) || '/file-' || n || '.bin' AS BLOB),"
        " CASE WHEN n % 100 = 7 THEN 'T01E' ELSE 'T01I' END FROM numbers",
        (first, count),
    )
    catalog.execute("COMMIT")
    catalog.close()
    return first


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]))

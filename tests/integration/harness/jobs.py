"""Runs the tests of several files side by side, each file's in their order and by one process, which is forked for it."""

import multiprocessing
import os
import traceback
from multiprocessing import connection

from . import case


class Link:
    """One process that takes files until there is none left, and sends a record of each test as it ends."""

    def __init__(self, context, work, turns):
        self.records, theirs = context.Pipe(duplex=False)
        self.process = context.Process(target=_take_files, args=(work, turns, theirs))
        self.process.start()
        theirs.close()


def _take_files(work, turns, records):
    def next_file():
        turn = os.read(turns, 1)
        return turn[0] if turn else None

    try:
        work(next_file, lambda *record: records.send(record))
    except Exception:
        records.send((case.RUN, "failed", traceback.format_exc(), 0.0))


def side_by_side(jobs, files, work, tell):
    """Calls work(next_file, tell) in so many processes. next_file() gives a number below `files`, each to one of them only."""
    turns, numbers = os.pipe()
    os.write(numbers, bytes(range(files)))
    os.close(numbers)
    context = multiprocessing.get_context("fork")
    links = []
    try:
        for _ in range(jobs):
            links.append(Link(context, work, turns))
        open_ends = {link.records: link for link in links}
        while open_ends:
            for end in connection.wait(list(open_ends)):
                try:
                    tell(*end.recv())
                except EOFError:
                    link = open_ends.pop(end)
                    link.process.join()
                    if link.process.exitcode != 0:
                        tell(case.RUN, "failed", f"a process that ran tests ended with {link.process.exitcode}", 0.0)
    finally:
        for link in links:
            if link.process.is_alive():
                link.process.terminate()
        for link in links:
            link.process.join()
        os.close(turns)

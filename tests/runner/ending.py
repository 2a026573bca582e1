"""How the programs that run tests end: whatever they began ends with them."""

import contextlib
import signal
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed

_running = set()
_told_to_end = False


def in_order_on_sigterm():
    """Whatever was begun is ended as after an error. timeout(1) sends the signal twice: the second must not stop that."""
    def leave(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(143)
    signal.signal(signal.SIGTERM, leave)


@contextlib.contextmanager
def attended(process):
    """The process, which is told to end where as_they_end() is interrupted, and waited for in any case."""
    _running.add(process)
    try:
        if _told_to_end:
            process.terminate()
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        _running.discard(process)


def as_they_end(works, at_once):
    """Calls works in so many threads, begun in this order, and yields what each returns as it ends.

    Where this program is told to end meanwhile, the processes that they attend are, too, and no further one goes on.
    """
    global _told_to_end
    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(work) for work in works]
        try:
            for done in as_completed(futures):
                yield done.result()
        except BaseException:
            _told_to_end = True
            for future in futures:
                future.cancel()
            for process in list(_running):
                process.terminate()
            raise

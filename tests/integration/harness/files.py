"""Files whose every 4 KiB differ, so that a byte in the wrong place shows; and what a folder holds."""

import hashlib
import os
import random
import shutil
import struct
import subprocess
from pathlib import Path

from .case import Failure, Skip

_PAGE = 4096
_BLOCK = 1 << 20


def make(path, size, seed=1):
    block = bytearray(random.Random(seed).randbytes(min(size, _BLOCK)))
    with open(path, "wb") as out:
        for start in range(0, size, _BLOCK):
            for page in range(0, len(block) - 8, _PAGE):
                struct.pack_into("<Q", block, page, start + page + seed)
            out.write(block[: size - start])
    return Path(path)


def same(one, other):
    done = subprocess.run(["cmp", "--", str(one), str(other)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"the files differ: {done.stdout}{done.stderr}".strip())


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(_BLOCK):
            digest.update(piece)
    return digest.hexdigest()


def listing(folder):
    """Every file below, with the store's private ones, relative to `folder`."""
    folder = Path(folder)
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


def _memory_left():
    with open("/proc/meminfo") as lines:
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    return 0


def roomy_folder(size, spare=1 << 30):
    """A place for `size` bytes of files: tmpfs where memory is plentiful, else a disk, else the test is skipped."""
    shm = "/dev/shm"
    if os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > size + spare and _memory_left() > size + 2 * spare:
        return shm
    for disk in (os.environ.get("TMPDIR", "/var/tmp"), "/var/tmp", "."):
        if os.access(disk, os.W_OK) and shutil.disk_usage(disk).free > size + spare:
            return disk
    raise Skip(f"{size >> 20} MiB fit neither in memory nor on a disk here")


def lie(path, body, of):
    """Gives a file that holds `body` the digest of `of`, as if the disk had changed it since it was sent."""
    path.write_bytes(body)
    facts = path.stat()
    seconds, nanoseconds = divmod(facts.st_mtime_ns, 10**9)
    text = f"1 {facts.st_size} {seconds}.{nanoseconds:09} {facts.st_ino} sha-256:{hashlib.sha256(of).hexdigest()}"
    try:
        os.setxattr(path, "user.sluice.digest", text.encode())
    except OSError as problem:
        raise Skip(f"no extended attributes here: {problem}") from None

"""Disks of their own, where a test may mount one."""
import ctypes
import mmap
import os
import shutil
import struct
import subprocess
from pathlib import Path

from .case import Skip

MIB = 1 << 20


class Disk:
    """An ext4 of its own in a file, on a loop device: a disk that has quotas, and that can break."""

    def __init__(self, t, name, size=48 * MIB, quota=False):
        self.t, self.folder, self.image, self.device = t, t.make_folder(name), t.path(f"{name}.img"), None
        with open(self.image, "wb") as image:
            image.truncate(size)
        self._must("mkfs.ext4", "-q", *(["-O", "quota", "-E", "quotatype=usrquota"] if quota else []), self.image)
        self.options = "errors=remount-ro" + (",usrquota" if quota else "")
        t.at_end(self.umount)
        if shutil.which("modprobe") and not (os.path.exists("/dev/loop-control") and os.path.exists("/sys/module/loop")):
            subprocess.run(["modprobe", "loop"], capture_output=True)
        self.mount()
        shutil.rmtree(self.folder / "lost+found")

    def _must(self, *command):
        try:
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True,
                                  env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
        except FileNotFoundError:
            raise Skip(f"{command[0]} is not installed") from None
        if done.returncode != 0:
            raise Skip(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
        return done.stdout.strip()

    def mount(self):
        self.device = self._must("losetup", "--find", "--show", self.image)
        self._must("mount", "-o", self.options, self.device, self.folder)

    def umount(self):
        if self.device:
            subprocess.run(["umount", self.folder], capture_output=True)
            subprocess.run(["losetup", "--detach", self.device], capture_output=True)
            self.device = None

    def limit(self, user, size):
        """`size`: bytes that files of this user may take; 0: no limit. As setquota(8) does it."""
        limits = struct.pack("8QI4x", size >> 10, size >> 10, 0, 0, 0, 0, 0, 0, 1)  # struct if_dqblk, QIF_BLIMITS
        set_quota_of_user = ctypes.c_int(0x800008 << 8).value
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.quotactl(set_quota_of_user, os.fsencode(self.device), user, limits) != 0:
            raise OSError(ctypes.get_errno(), "quotactl")

    def fail(self):
        """As if it could not be written to: it becomes read-only, whoever is at it."""
        trigger = Path("/sys/fs/ext4", Path(self.device).name, "trigger_fs_error")
        try:
            trigger.write_text("a test")
        except OSError as error:
            raise Skip(f"no file system can be made to fail here: {error}") from None

    def repair(self):
        self.umount()
        subprocess.run(["e2fsck", "-fy", self.image], capture_output=True,
                       env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
        self.mount()


def in_page_cache(path):
    """Bytes of a file that the page cache has (mincore(2))."""
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        pages = ctypes.create_string_buffer(-(-len(mapped) // mmap.PAGESIZE))
        first = ctypes.c_char.from_buffer(mapped)
        libc = ctypes.CDLL(None, use_errno=True)
        result = libc.mincore(ctypes.c_void_p(ctypes.addressof(first)), ctypes.c_size_t(len(mapped)), pages)
        del first
        if result != 0:
            raise OSError(ctypes.get_errno(), "mincore")
        return sum(page & 1 for page in pages.raw) * mmap.PAGESIZE


def drop_from_page_cache(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

"""What a figure was measured on, and what there is room for."""
import datetime
import os
import pathlib
import re
import shutil
import socket
import ssl

TCP_ULP = 31


def memory_bytes():
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def available_bytes():
    return int(re.search(r"^MemAvailable:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.M)[1]) * 1024


def has_ktls():
    """Found out by trying: a connected socket takes the kernel's TLS, or not."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        try:
            client.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        except OSError:
            return False
        return True


def _model():
    found = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return found[1] if found else os.uname().machine


def facts():
    return {"cpus": len(os.sched_getaffinity(0)), "model": _model(), "kernel": os.uname().release,
            "openssl": ssl.OPENSSL_VERSION, "memory_bytes": memory_bytes(), "ktls": has_ktls(),
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}


def in_memory(folder):
    mounts = [line.split() for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
    best = max((mount for mount in mounts if os.path.join(str(folder), "").startswith(os.path.join(mount[1], ""))),
               key=lambda mount: len(mount[1]))
    return best[2] == "tmpfs"


def lacking(folder, needed):
    """None, or why so many bytes have no place in the folder."""
    free = shutil.disk_usage(folder).free
    if in_memory(folder):
        free = min(free, available_bytes() - 2**29)
    if free >= needed:
        return None
    return f"needs {needed / 2**30:.1f} GiB in {folder}, where {max(free, 0) / 2**30:.1f} are free (--size or --folder helps)"

"""nginx: GET with sendfile(2), which copies for OpenSSL unless the kernel encrypts; PUT by its dav module."""
import functools
import getpass
import os

from harness import sites
from harness.machine import has_ktls
from harness.peers import base


@functools.cache
def _said():
    return base.subprocess.run([base.program("nginx"), "-V"], capture_output=True, text=True, env=base.ENVIRONMENT).stderr


class Server(base.Server):
    name, program, more = "nginx", "nginx", ()

    def version(self):
        return base.version(base.program("nginx"), "-v")

    def skip(self):
        if self.scenario.direction == "put" and "http_dav_module" not in _said():
            raise base.Skip("this nginx was built without its dav module")

    def command(self):
        site = self.own / "nginx.conf"
        site.write_text(sites.nginx(
            own=self.own, root=self.place.folder, port=self.port, certificate=self.place.certificate, key=self.place.key,
            suite=self.scenario.suite, trust=None if self.anonymous else self.place.authority,
            workers=self.scenario.cores or "auto", user=getpass.getuser() if os.geteuid() == 0 else None,
            more=[*self.more, f"location /{self.own.name}/ {{ dav_methods PUT; }}"]))
        return [base.program("nginx"), "-c", site, "-e", "stderr"]


class WithKtls(Server):
    """The same, and sendfile(2) goes into the socket: the kernel encrypts."""

    name, more = "nginx", (sites.KTLS,)

    def skip(self):
        super().skip()
        if not has_ktls():
            raise base.Skip("this kernel has no TLS of its own")

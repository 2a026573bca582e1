"""Apache: mod_ssl, and mod_dav for PUT."""
import os
import pathlib
import shutil

from harness.peers import base

MODULES = pathlib.Path("/usr/lib/apache2/modules")
NAMES = ("mpm_event", "authn_core", "authz_core", "ssl", "dav", "dav_fs")
SITE = """
ServerRoot {own}
ServerName localhost
PidFile {own}/apache.pid
DefaultRuntimeDir {own}
Listen 127.0.0.1:{port}
ErrorLog {own}/apache-errors.log
{load}
{user}
MaxKeepAliveRequests 0
LimitRequestBody 0
DocumentRoot {place.folder}
DavLockDB {own}/dav-locks
<Directory {place.folder}>
    Require all granted
</Directory>
<Directory {own}>
    Dav On
</Directory>
SSLEngine on
SSLProtocol TLSv1.3
SSLCipherSuite TLSv1.3 {suite}
SSLCertificateFile {place.certificate}
SSLCertificateKeyFile {place.key}
{verify}
"""


class Server(base.Server):
    name, program = "Apache", "apache2"

    def version(self):
        return base.version(base.program("apache2"), "-v", pattern=r"Apache/([\d.]+)")

    def skip(self):
        missing = [name for name in NAMES[3:] if not (MODULES / f"mod_{name}.so").exists()]
        if missing:
            raise base.Skip(f"this Apache has no mod_{missing[0]}")

    def command(self):
        # It refuses to serve as root, and what serves then writes to its folder.
        user = ""
        if os.geteuid() == 0:
            user = "User nobody\nGroup nogroup"
            shutil.chown(self.own, "nobody", "nogroup")
        present = {name: MODULES / f"mod_{name}.so" for name in NAMES}
        verify = "" if self.anonymous else f"SSLCACertificateFile {self.place.authority}\nSSLVerifyClient require"
        site = self.own / "apache.conf"
        site.write_text(SITE.format(own=self.own, port=self.port, user=user, place=self.place, suite=self.scenario.suite,
                                    verify=verify, load="\n".join(f"LoadModule {name}_module {path}"
                                                                  for name, path in present.items() if path.exists())))
        return [base.program("apache2"), "-D", "FOREGROUND", "-f", site]

"""nginx: GET with sendfile(2), which copies for OpenSSL unless the kernel encrypts; PUT by its dav module."""
import functools
import getpass
import os

from harness.machine import has_ktls
from harness.peers import base

SITE = """
{user}
daemon off;
pid {own}/nginx.pid;
error_log stderr;
worker_processes {workers};
worker_rlimit_nofile 20000;
events {{ worker_connections 15000; }}
http {{
    access_log off;
    sendfile on;
    client_max_body_size 0;
    keepalive_timeout 600;
    keepalive_requests 1000000000;
    client_body_temp_path {own}/nginx-body;
    proxy_temp_path {own}/nginx-proxy;
    fastcgi_temp_path {own}/nginx-fastcgi;
    uwsgi_temp_path {own}/nginx-uwsgi;
    scgi_temp_path {own}/nginx-scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites {suite};
        {more}
        ssl_certificate {place.certificate};
        ssl_certificate_key {place.key};
        {verify}
        root {place.folder};
        location /{own.name}/ {{ dav_methods PUT; }}
    }}
}}
"""


@functools.cache
def _said():
    return base.subprocess.run([base.program("nginx"), "-V"], capture_output=True, text=True, env=base.ENVIRONMENT).stderr


class Server(base.Server):
    name, program, more = "nginx", "nginx", ""

    def version(self):
        return base.version(base.program("nginx"), "-v")

    def skip(self):
        if self.scenario.direction == "put" and "http_dav_module" not in _said():
            raise base.Skip("this nginx was built without its dav module")

    def command(self):
        verify = "" if self.anonymous else f"ssl_client_certificate {self.place.authority}; ssl_verify_client on;"
        site = self.own / "nginx.conf"
        site.write_text(SITE.format(user=f"user {getpass.getuser()};" if os.geteuid() == 0 else "", own=self.own,
                                    workers=self.scenario.cores or "auto", port=self.port, suite=self.scenario.suite,
                                    more=self.more, place=self.place, verify=verify))
        return [base.program("nginx"), "-c", site, "-e", "stderr"]


class WithKtls(Server):
    """The same, and sendfile(2) goes into the socket: the kernel encrypts."""

    name, more = "nginx", "ssl_conf_command Options KTLS;"

    def skip(self):
        super().skip()
        if not has_ktls():
            raise base.Skip("this kernel has no TLS of its own")

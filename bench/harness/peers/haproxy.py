"""haproxy serves no files; one small answer it keeps in memory and gives over TLS, which is what it can be compared in."""
from harness.peers import base

LARGEST = 8192
SITE = """
global
    nbthread {threads}
    maxconn 15000
    no strict-limits
defaults
    mode http
    timeout client 600s
    timeout http-keep-alive 600s
frontend here
    bind 127.0.0.1:{port} ssl crt {own}/both.pem ssl-min-ver TLSv1.3 ciphersuites {suite}
    http-request return status 200 content-type application/octet-stream file {file}
"""


class Server(base.Server):
    name, program = "haproxy", "haproxy"

    def version(self):
        return base.version(base.program("haproxy"), "-v")

    def skip(self):
        if self.scenario.direction not in ("requests", "idle") or self.scenario.size > LARGEST:
            raise base.Skip("haproxy serves no files, only a small answer from memory")

    def command(self):
        both = self.own / "both.pem"
        both.write_text(self.place.certificate.read_text() + self.place.key.read_text())
        site = self.own / "haproxy.cfg"
        site.write_text(SITE.format(threads=self.scenario.cores or base.cores(), port=self.port, own=self.own,
                                    suite=self.scenario.suite, file=self.place.source / "file"))
        return [base.program("haproxy"), "-db", "-f", site]

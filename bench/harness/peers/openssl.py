"""`openssl s_server -WWW`: one connection at a time, read(2) and SSL_write, nothing else."""
from harness.peers import base


class Server(base.Server):
    name, program = "openssl", "openssl"

    def version(self):
        return base.version(base.program("openssl"), "version")

    def skip(self):
        if self.scenario.direction != "get" or self.scenario.connections > 1:
            raise base.Skip("s_server serves one connection at a time, and takes no uploads")

    def command(self):
        verify = ["-Verify", "3", "-verify_return_error", "-CAfile", self.place.authority]
        return ["sh", "-c", 'cd "$0" && exec "$@"', self.place.folder, base.program("openssl"), "s_server", "-quiet", "-WWW",
                "-accept", f"127.0.0.1:{self.port}", "-cert", self.place.certificate, "-key", self.place.key, "-tls1_3",
                "-ciphersuites", self.scenario.suite, *([] if self.anonymous else verify)]

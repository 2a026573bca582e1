"""sshd, and what copies through it: scp, rsync, tar."""
import os
import shlex

from harness.common import run
from harness.peers import base

SITE = """
ListenAddress 127.0.0.1
Port {port}
HostKey {own}/ssh-host
AuthorizedKeysFile {own}/ssh-user.pub
PidFile {own}/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""


def _version(_self):
    return base.version("ssh", "-V", pattern=r"OpenSSH_([\w.]+)")


class Server(base.Server):
    name, program, serves = "sshd", ("sshd", "ssh-keygen"), "ssh"
    lasting = False
    version = _version

    def command(self):
        for key in ("host", "user"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.own / f"ssh-{key}")
        (self.own / "known").write_text(f"[127.0.0.1]:{self.port} " + (self.own / "ssh-host.pub").read_text())
        site = self.own / "sshd.conf"
        site.write_text(SITE.format(port=self.port, own=self.own))
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        return [base.program("sshd"), "-D", "-e", "-f", site]


class _Client(base.Client):
    speaks, cipher = "ssh", None
    version = _version

    def _options(self):
        cipher = ["-c", self.cipher] if self.cipher else []
        return [*cipher, "-i", self.own / "ssh-user", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o",
                f"UserKnownHostsFile={self.own}/known"]

    def _shell(self):
        """ssh as one word of a command line."""
        return shlex.join(map(str, ["ssh", "-p", self.server.port, *self._options()]))


class Scp(_Client):
    name, program = "scp", ("scp", "ssh")

    def _copy(self, *names):
        return [["scp", "-q", "-P", self.server.port, *self._options(), *names]]

    def get(self):
        return self._copy(f"127.0.0.1:{self.place.source}/file", self.contender.target)

    def put(self):
        return self._copy(self.place.source / "file", f"127.0.0.1:{self.own}/in/file")

    def get_tree(self):
        return self._copy("-r", f"127.0.0.1:{self.place.source}/tree", self.contender.target)

    def put_tree(self):
        return self._copy("-r", self.place.source / "tree", f"127.0.0.1:{self.own}/in/")


class ScpAes(Scp):
    """With the cipher that everybody else uses here, not its own favourite."""

    cipher = "aes128-gcm@openssh.com"


class Rsync(_Client):
    name, program = "rsync", ("rsync", "ssh")

    def version(self):
        return base.version("rsync", "--version")

    def _copy(self, *names):
        return [["rsync", "-rt", "--whole-file", "-e", self._shell(), *names]]

    def get(self):
        return self._copy(f"127.0.0.1:{self.place.source}/file", self.contender.target)

    def put(self):
        return self._copy(self.place.source / "file", f"127.0.0.1:{self.own}/in/file")

    def get_tree(self):
        return self._copy(f"127.0.0.1:{self.place.source}/tree", self.contender.target)

    def put_tree(self):
        return self._copy(self.place.source / "tree", f"127.0.0.1:{self.own}/in/")


class Tar(_Client):
    name, program = "tar", ("tar", "ssh")

    def version(self):
        return base.version("tar", "--version")

    def _through(self, first, second):
        return [["bash", "-c", f"set -o pipefail; {first} | {second}"]]

    def get_tree(self):
        pack = shlex.quote(f"tar -C {shlex.quote(str(self.place.source))} -c tree")
        return self._through(f"{self._shell()} 127.0.0.1 {pack}", f"tar -C {shlex.quote(str(self.contender.target))} -x")

    def put_tree(self):
        unpack = shlex.quote(f"tar -C {shlex.quote(str(self.own))}/in -x")
        return self._through(f"tar -C {shlex.quote(str(self.place.source))} -c tree",
                             f"{self._shell()} 127.0.0.1 {unpack}")

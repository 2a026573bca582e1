"""Servers and tools that others made, set up to talk with ours."""

import os
import shutil
import socket
import subprocess
import time

from .case import Failure, Skip, wait_for


def need(*programs):
    """Full paths of programs; the test is skipped where one is missing."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    found = [shutil.which(program, path=path) for program in programs]
    for program, place in zip(programs, found):
        if not place:
            raise Skip(f"{program} is not installed (tests/packages install test)")
    return found[0] if len(found) == 1 else found


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def _answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def _start(trial, name, command, port, stop_with=15):
    log = trial.path(f"{name}.log")
    with open(log, "wb") as out:
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=trial.folder)

    def stop():
        process.send_signal(stop_with)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    trial.at_end(stop)
    wait_for(lambda: _answers(port) or process.poll() is not None, f"{name}'s start", 20 * trial.run.patience)
    time.sleep(0.1)  # some bind first and find out then that they cannot go on
    if process.poll() is not None:
        raise Failure(f"{name} did not start: {log.read_text(errors='replace')}")
    return process


def nginx(trial, root, suites=None, versions="TLSv1.2 TLSv1.3", more=""):
    """nginx over `root`: GET, and PUT by its dav module. Client certificates are required. Returns the port."""
    program, port = need("nginx"), free_port()
    certificate, key = trial.run.pki.server()
    ciphers = f"ssl_ciphers {suites};" if suites else ""
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "".join(
        f"{kind}_temp_path {trial.path('nginx-' + kind)};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = trial.path("nginx.conf")
    configuration.write_text(f"""
{user}
daemon off; worker_processes 1; pid {trial.path("nginx.pid")}; error_log stderr;
events {{ worker_connections 256; }}
http {{
    access_log off; client_max_body_size 0; sendfile on; {temporary}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate}; ssl_certificate_key {key};
        ssl_client_certificate {trial.run.pki.certificate}; ssl_verify_client on;
        ssl_protocols {versions}; {ciphers}
        {more}
        location / {{ root {root}; dav_methods PUT; create_full_put_path on; }}
    }}
}}
""")
    _start(trial, "nginx", [program, "-e", "stderr", "-p", trial.folder, "-c", configuration], port)
    return port


def apache(trial, root):
    """Apache over `root`: GET, and PUT by mod_dav. Client certificates are required. Returns the port."""
    program, port = need("apache2"), free_port()
    modules = "/usr/lib/apache2/modules"
    certificate, key = trial.run.pki.server()
    names = ("mpm_event", "authn_core", "authz_core", "authz_user", "dir", "ssl", "dav", "dav_fs")
    files = {name: f"{modules}/mod_{name}.so" for name in names}
    load = "\n".join(f"LoadModule {name}_module {file}" for name, file in files.items() if os.path.exists(file))
    user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
    if os.geteuid() == 0:
        shutil.chown(root, "nobody", "nogroup")
        trial.folder.chmod(0o777)
    configuration = trial.path("apache.conf")
    configuration.write_text(f"""
ServerRoot {trial.folder}
ServerName localhost
PidFile {trial.path("apache.pid")}
DefaultRuntimeDir {trial.folder}
Listen 127.0.0.1:{port}
ErrorLog {trial.path("apache-errors.log")}
{load}
{user}
DavLockDB {trial.path("dav-locks")}
DocumentRoot {root}
<Directory {root}>
    Require all granted
    Dav On
</Directory>
SSLEngine on
SSLCertificateFile {certificate}
SSLCertificateKeyFile {key}
SSLCACertificateFile {trial.run.pki.certificate}
SSLVerifyClient require
""")
    _start(trial, "apache", [program, "-D", "FOREGROUND", "-f", configuration], port, stop_with=15)
    return port


PAGE = b"a page\n" * 100


def s_server(trial, *options, certificate=None, key=None):
    """`openssl s_server` that answers every GET of /page with PAGE. Returns the port."""
    port, usual = free_port(), trial.run.pki.server()
    (trial.folder / "page").write_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(PAGE) + PAGE)
    _start(trial, f"s_server-{port}", ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-HTTP", "-cert",
           certificate or usual[0], "-key", key or usual[1], *options], port)
    return port


def tool(trial, *command, timeout=120, codes=(0,)):
    """Runs curl, wget, ...; returns what it printed."""
    program = need(command[0])
    done = subprocess.run([program, *map(str, command[1:])], capture_output=True, stdin=subprocess.DEVNULL,
                          timeout=timeout * trial.run.patience)
    if codes is not None and done.returncode not in codes:
        raise Failure(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done


def curl_options(trial, key="ecdsa"):
    certificate, secret = trial.run.pki.client(key)
    return ["--cacert", trial.run.pki.certificate, "--cert", certificate, "--key", secret, "-sS"]

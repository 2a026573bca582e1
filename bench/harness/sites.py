"""Configurations of the servers that are measured, on this machine and in the guest: each has one writer, for both."""

SLUICE = """\
[server]
{server}
[store main]
root = {root}
{store}
[server-profile p]
certificate = {certificate}
key = {key}
{trust}
ciphers = {suite}
min_version = 1.3
offload = {offload}
[protocol main]
listen = 127.0.0.1:{port}
profile = p
store = main
"""

NGINX = """\
{user}
daemon off;
pid {own}/nginx.pid;
error_log {errors};
worker_processes {workers};
worker_rlimit_nofile 20000;
events {{ worker_connections 15000; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_header_timeout 1h;
    client_body_timeout 1h;
    send_timeout 1h;
    client_max_body_size 0;
    client_body_temp_path {bodies};
    proxy_temp_path {own}/nginx-proxy;
    fastcgi_temp_path {own}/nginx-fastcgi;
    uwsgi_temp_path {own}/nginx-uwsgi;
    scgi_temp_path {own}/nginx-scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites {suite};
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        root {root};
        {more}
    }}
}}
"""
KTLS = "ssl_conf_command Options KTLS;"


def _keys(given):
    return "\n".join(f"{key} = {value}" for key, value in given.items() if value is not None)


def sluice(*, root, port, certificate, key, suite, trust=None, offload="auto", server=None, store=None):
    """site.ini, as text. `trust`: who signs clients; None: nobody is asked. `server`, `store`: more keys of these sections."""
    return SLUICE.format(root=root, port=port, certificate=certificate, key=key, suite=suite, offload=offload,
                         server=_keys(server or {}), store=_keys(store or {}),
                         trust=f"trust = {trust}" if trust else "verify = none")


def nginx(*, own, root, port, certificate, key, suite, trust=None, workers=1, user=None, errors="stderr", bodies=None, more=()):
    """nginx.conf, as text. `own`: a folder for what it writes; `bodies`: for those that come; `more`: lines for its server."""
    if trust:
        more = [f"ssl_client_certificate {trust};", "ssl_verify_client on;", *more]
    return NGINX.format(own=own, root=root, port=port, certificate=certificate, key=key, suite=suite, workers=workers,
                        errors=errors, user=f"user {user};" if user else "", bodies=bodies or f"{own}/nginx-body",
                        more="\n        ".join(more))

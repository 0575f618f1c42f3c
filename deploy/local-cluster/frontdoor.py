"""nginx with the configuration we recommend, on loopback, with a certificate made on the spot."""

import datetime
import ipaddress
import shutil
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from parts import ClusterError, Part

RECOMMENDED = Path(__file__).parents[1] / "nginx" / "gesso.conf"

_MAIN = """
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
daemon off;
events {{ worker_connections 2048; }}
http {{
    log_format told '$msec $request_method $uri $status $upstream_addr $upstream_status $request_time $request_id';
    access_log {folder}/access.log told;
    {temporary}
    include {recommended};
}}
"""
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def find_nginx() -> str:
    """The program. Raises ClusterError when the machine has none."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise ClusterError("nginx is not installed; on Debian: apt-get install nginx")
    return found


def make_front_door(folder: Path, port: int, webs: Sequence[int]) -> Part:
    """nginx on `https://127.0.0.1:port` before the web servers on the ports `webs`. Its files are in `folder`."""
    program = find_nginx()
    (folder / "gesso.d").mkdir(parents=True)
    _make_certificate(folder)
    recommended_webs = (RECOMMENDED.parent / "gesso.d" / "webs.conf").read_text()
    patience = recommended_webs.rsplit(":8000 ", 1)[1].split(";")[0]  # what we recommend for a failed server
    lines = [f"server 127.0.0.1:{web} {patience};" for web in webs]
    (folder / "gesso.d" / "webs.conf").write_text("\n".join(lines))
    (folder / "gesso.d" / "listen.conf").write_text(
        f"listen 127.0.0.1:{port} ssl http2;\nserver_name _;\n"
        f"ssl_certificate {folder}/cert.pem;\nssl_certificate_key {folder}/key.pem;\n"
    )
    temporary = "\n    ".join(f"{name}_temp_path {folder}/{name};" for name in _TEMPORARY)
    configuration = folder / "nginx.conf"
    configuration.write_text(_MAIN.format(folder=folder, recommended=RECOMMENDED, temporary=temporary))
    command = [program, "-p", str(folder), "-c", str(configuration), "-e", str(folder / "error.log")]
    return Part("nginx", command, {}, folder / "nginx.log")


def _make_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gesso on loopback")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = folder / "key.pem"
    secret.touch(mode=0o600)
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )

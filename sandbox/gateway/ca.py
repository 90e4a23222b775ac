"""The certificate authority with which the gateway answers TLS for any name."""

import datetime
import ipaddress
import os
import ssl
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CERTIFICATE = "ca.pem"
KEY = "ca.key"
_ORGANISATION = "Trust Services International"
_COMMON_NAME = "Trust Services Root R4"
_CACHED = 256  # a name per connection is one way to send data: the cache must not grow with it


class AuthorityError(Exception):
    """The authority's files are missing or unusable."""


class ServerConnection(ssl.SSLObject):
    """A server's TLS connection that remembers the name the client asked for.

    Attributes:
        sni: That name, if any.
        refuses: Whether it is broken off for a name.
    """

    sni: str | None = None
    refuses: Callable[[str], bool] = staticmethod(lambda name: False)


class Authority:
    """A CA and the server contexts minted by it, one per server name or address."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        """Takes the CA's key and its self-signed certificate; see `create` and `load`."""
        self._key = key
        self._certificate = certificate
        self._leaf = ec.generate_private_key(ec.SECP256R1())
        self._contexts: dict[str, ssl.SSLContext] = {}

    @classmethod
    def create(cls) -> "Authority":
        """A new CA, valid from 400 days ago for about ten years."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(_COMMON_NAME)
        certificate = (
            _certificate(name, name, key.public_key(), since=400, until=3250)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    @classmethod
    def load(cls, folder: Path) -> "Authority":
        """The CA that `save` left in `folder`.

        Raises:
            AuthorityError: A file is missing or is not what `save` writes.
        """
        try:
            key = serialization.load_pem_private_key((folder / KEY).read_bytes(), None)
            certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
        except (OSError, ValueError) as error:
            raise AuthorityError(f"no CA in {folder}: make one with save() ({error})") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise AuthorityError(f"no CA in {folder}: {KEY} is not an elliptic curve key")
        return cls(key, certificate)

    def save(self, folder: Path) -> None:
        """Writes `ca.pem` and `ca.key` (mode 600) to `folder`, created if missing."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CERTIFICATE).write_bytes(self.certificate_pem)
        fd = os.open(folder / KEY, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(self.key_pem)

    @property
    def certificate_pem(self) -> bytes:
        """The CA certificate that a box must trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The CA's private key: for the gateway only."""
        return _key_pem(self._key)

    def context(self, name: str) -> ssl.SSLContext:
        """A server context whose certificate is valid for `name`.

        Args:
            name: DNS name or IP address, in ASCII. A client that asks for another name during
                the handshake (SNI) gets that name's certificate.
        """
        context = self._contexts.get(name)
        if context is None:
            while len(self._contexts) >= _CACHED:
                self._contexts.pop(next(iter(self._contexts)))
            context = self._contexts[name] = self._mint(name)
        return context

    def _mint(self, name: str) -> ssl.SSLContext:
        try:
            alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            alternative = x509.DNSName(name)
        issuer = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        certificate = (
            _certificate(
                _name(name), self._certificate.subject, self._leaf.public_key(), since=30, until=335
            )
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer.value), False
            )
            .sign(self._key, hashes.SHA256())
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1", "h2"])  # HTTP/2 only for who speaks nothing else
        context.sslobject_class = ServerConnection
        context.sni_callback = self._choose
        chain = _key_pem(self._leaf) + certificate.public_bytes(serialization.Encoding.PEM)
        # The ssl module reads chains from paths only; a memfd keeps the key off the disk.
        fd = os.memfd_create("chain")
        try:
            os.write(fd, chain)
            context.load_cert_chain(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)
        return context

    def _choose(
        self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext
    ) -> ssl.AlertDescription | None:
        assert isinstance(connection, ServerConnection)
        connection.sni = name
        if name:
            if connection.refuses(name):
                return ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            try:
                connection.context = self.context(name)
            except ValueError:  # no certificate can carry such a name
                return ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        return None


def _name(common: str) -> x509.Name:
    # X.509 allows a common name of 64 characters; clients look at the alternative name only.
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common[:64]),
        ]
    )


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    *,
    since: int,
    until: int,
) -> x509.CertificateBuilder:
    """A builder valid from `since` days ago until `until` days from now."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=since))
        .not_valid_after(now + datetime.timedelta(days=until))
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )

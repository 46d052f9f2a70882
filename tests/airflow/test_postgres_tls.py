"""TLS to the metadata database, by the extras of an Airflow connection: a real certificate, checked by libpq."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_midjourney.describe.model.errors import TableError
from airflow_midjourney.hooks.image_prompts import open_metadata, view_metadata
from tests.support.pgbouncer import needs_pgbouncer, running_pgbouncer
from tests.support.postgres import DRIVERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_midjourney.describe.table.database import Transaction
    from tests.support.postgres import RunningPostgres

# The Postgres from PyPI is built without TLS; PgBouncer speaks it with the client in its place, as clouds do.
pytestmark = needs_pgbouncer

NAMED = "localhost"


class Authority:
    """Signs certificates of servers, as a company's own authority does."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        basic = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = (
            self._begun(self.name, self.key).add_extension(basic, critical=True).sign(self.key, hashes.SHA256())
        )

    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def files_of_a_server(self, host: str) -> dict[str, bytes]:
        """Give key and certificate of a server, as PgBouncer's settings name them."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        alternative = x509.SubjectAlternativeName([x509.DNSName(host)])
        certificate = (
            self._begun(subject, key).add_extension(alternative, critical=False).sign(self.key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = certificate.public_bytes(serialization.Encoding.PEM)
        return {"client_tls_key_file": private, "client_tls_cert_file": public}

    def _begun(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("The authority of the tests")


@pytest.fixture(scope="module")
def port(postgres_server: RunningPostgres, authority: Authority) -> Iterator[int]:
    """The port of a server that takes nothing but TLS."""
    with running_pgbouncer(postgres_server, authority.files_of_a_server(NAMED)) as port:
        yield port


@pytest.fixture
def connection(
    port: int, authority: Authority, postgres_server: RunningPostgres, tmp_path: Path, request: pytest.FixtureRequest
) -> dict[str, Any]:
    """A connection that asks for the whole check, to a database of its own."""
    name = f"tls_{abs(hash(request.node.name)):x}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(authority.pem())
    return {
        "conn_type": "postgres",
        "host": NAMED,
        "port": port,
        "login": "postgres",
        "schema": name,
        "extra": {"sslmode": "verify-full", "sslrootcert": str(trusted)},
    }


def ssl_in_use(tx: Transaction) -> bool:
    driver: Any = tx.connection.connection.driver_connection
    found: bool = driver.pgconn.ssl_in_use if hasattr(driver, "pgconn") else driver.info.ssl_in_use
    return found


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.usefixtures("_driver_can_be_chosen")
def test_tables_are_made_over_tls_whose_certificate_is_checked(
    driver: str, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection["extra"]["sqlalchemy_scheme"] = f"postgresql+{driver}"
    monkeypatch.setenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB", json.dumps(connection))

    database = open_metadata()

    assert database.engine.dialect.driver == driver
    assert database.read_here(ssl_in_use)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.usefixtures("_driver_can_be_chosen")
@pytest.mark.parametrize("fault", ["another authority", "another host", "no TLS"])
def test_what_the_check_finds_is_one_error_that_names_the_connection(
    driver: str, fault: str, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    extra = connection["extra"]
    extra["sqlalchemy_scheme"] = f"postgresql+{driver}"
    if fault == "another authority":
        (tmp_path / "ca.pem").write_bytes(Authority("Another one").pem())
    elif fault == "another host":
        connection["host"] = str(ip_address("127.0.0.1"))
    else:
        extra["sslmode"] = "disable"
    monkeypatch.setenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB", json.dumps(connection))
    database = view_metadata()

    with pytest.raises(TableError, match="image_prompts_db") as refused:
        database.read_here(ssl_in_use)
    database.close()

    assert not isinstance(refused.value.__cause__, AssertionError)

"""What a team brings along, looked at before anything starts: a database and a bucket."""

from __future__ import annotations

from hardgate.errors import UnavailableError
from hardgate.server import settings
from hardgate.server.settings import Settings


def prepare(known: Settings) -> None:
    """Make the schemas of users and flows, and see that the bucket keeps what it was given.

    Raises
    ------
    UnavailableError
        If one does not answer, may not be written to, or the bucket overwrites objects that must
        only be created.
    """
    if known.database_url:
        _prepare_database(known.database_url)
    if known.artifacts_url:
        _try_bucket(known.artifacts_url)


def _prepare_database(url: str) -> None:
    import psycopg
    from psycopg import sql

    try:
        with psycopg.connect(url.replace("+psycopg", "", 1), connect_timeout=10) as connection:
            for schema in (settings.USERS, settings.FLOWS):
                connection.execute(
                    sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema))
                )
    except psycopg.Error as error:
        said = str(error).strip().splitlines()
        raise UnavailableError(
            f"the database {settings.shown(url)} cannot be used: {said[0] if said else error}"
        ) from error


def _try_bucket(url: str) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    from hardgate.registry.artifacts import WriteOnceS3

    try:
        wrote = WriteOnceS3(url).rehearse()
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError(
            f"{url} cannot be used: {error}; make the bucket, and name the server in "
            "MLFLOW_S3_ENDPOINT_URL and the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    if wrote != 1:
        raise UnavailableError(
            f"{url} does not keep what it was given: {wrote} of several writers, each asking to "
            "create the same object, were told that they did (If-None-Match); model files could "
            "be replaced there, so use a server that honours conditional writes"
        )

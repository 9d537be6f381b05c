"""One script for psycopg, asyncpg and SQLAlchemy. Prints what it found as JSON; what differs between two ways to the same database is a mistake."""

import asyncio
import datetime
import decimal
import json
import logging
import os
import sys

import asyncpg
import psycopg
from sqlalchemy import URL, Column, Integer, MetaData, Table, Text, create_engine, func, insert, select, update

logging.disable()  # psycopg warns of what this script does on purpose
PLACE = dict(host=os.environ["PGHOST"], port=int(os.environ["PGPORT"]), user=os.environ["PGUSER"], password=os.environ["PGPASSWORD"])
DATABASE = os.environ["PGDATABASE"]


def plain(value):
    if isinstance(value, (datetime.date, datetime.datetime, decimal.Decimal)):
        return str(value)
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    if isinstance(value, (list, tuple)) or hasattr(value, "keys") and not isinstance(value, dict):
        return [plain(one) for one in value]
    return value


def with_psycopg():
    found = {}
    with psycopg.connect(dbname=DATABASE, **PLACE) as connection:
        with connection.cursor() as cursor:
            found["rows"] = cursor.execute("select * from things where id < %s order by id", [4]).fetchall()
            found["binary"] = connection.cursor(binary=True).execute("select id, weight, photo from things where id = %s", [3]).fetchall()
            cursor.executemany("insert into notes (text) values (%s)", [[f"n{n}"] for n in range(20)])
            found["count"] = cursor.execute("select count(*) from notes").fetchall()
        connection.rollback()
        found["prepared"] = [connection.execute("select name from things where id = %s", [n], prepare=True).fetchone() for n in range(1, 11)]
        try:
            with connection.transaction():
                connection.execute("insert into notes (text) values ('x')")
                with connection.transaction():
                    connection.execute("insert into notes (text) values ('')")
        except psycopg.errors.CheckViolation as error:
            found["error"] = [error.sqlstate, error.diag.constraint_name]
        connection.rollback()
        with connection.pipeline():
            cursors = [connection.execute("select %s::int * 2", [n]) for n in range(30)]
        found["pipeline"] = [cursor.fetchone() for cursor in cursors]
        try:
            with connection.pipeline():
                connection.execute("select 1")
                connection.execute("select 1 / 0")
                connection.execute("select 2")
        except psycopg.Error as error:
            found["pipeline-error"] = error.sqlstate
        connection.rollback()
        with connection.cursor(name="server_side") as cursor:
            cursor.itersize = 50
            found["named-cursor"] = sum(row[0] for row in cursor.execute("select id from things order by id"))
        connection.rollback()
        with connection.cursor() as cursor:
            with cursor.copy("copy notes (text) from stdin") as copy:
                for n in range(100):
                    copy.write_row([f"copied {n}"])
            with cursor.copy("copy (select text from notes order by text) to stdout") as copy:
                found["copy"] = [row[0] for row in copy.rows()][:5]
        connection.rollback()
    return found


async def with_asyncpg():
    found = {}
    connection = await asyncpg.connect(database=DATABASE, ssl=False, **PLACE)
    try:
        found["rows"] = [list(row) for row in await connection.fetch("select * from things where id between $1 and $2 order by id", 1, 3)]
        statement = await connection.prepare("select name from things where id = $1")
        found["prepared"] = [await statement.fetchval(n) for n in range(1, 11)]
        async with connection.transaction():
            found["cursor"] = sum([row["id"] async for row in connection.cursor("select id from things order by id", prefetch=40)])
        transaction = connection.transaction()
        await transaction.start()
        await connection.executemany("insert into notes (text) values ($1)", [[f"a{n}"] for n in range(20)])
        found["count"] = await connection.fetchval("select count(*) from notes")
        await transaction.rollback()
        try:
            await connection.execute("insert into notes (text) values ('')")
        except asyncpg.CheckViolationError as error:
            found["error"] = [error.sqlstate, error.constraint_name]
    finally:
        await connection.close()
    return found


def with_sqlalchemy():
    found = {}
    engine = create_engine(URL.create("postgresql+psycopg", database=DATABASE, host=PLACE["host"], port=PLACE["port"], username=PLACE["user"], password=PLACE["password"]))
    things = Table("things", MetaData(), Column("id", Integer, primary_key=True), Column("name", Text))
    notes = Table("notes", MetaData(), Column("id", Integer, primary_key=True), Column("text", Text))
    with engine.connect() as connection:
        found["rows"] = [tuple(row) for row in connection.execute(select(things).where(things.c.id < 4).order_by(things.c.id))]
        connection.execute(insert(notes), [{"text": f"s{n}"} for n in range(50)])
        connection.execute(update(notes).where(notes.c.text == "s1").values(text="changed"))
        found["count"] = connection.execute(select(func.count()).select_from(notes).where(notes.c.text.like("s%"))).scalar()
        connection.rollback()
    engine.dispose()
    return found


json.dump({"psycopg": with_psycopg(), "asyncpg": asyncio.run(with_asyncpg()), "sqlalchemy": with_sqlalchemy()}, sys.stdout, default=plain, indent=1)

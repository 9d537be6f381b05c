"""Logs in by SASL OAUTHBEARER with the libpq 18 that psycopg brings. Prints what libpq was told when it asked for a token, and what the session answers."""

import ctypes
import glob
import json
import os
import sys

import psycopg

library = ctypes.CDLL(glob.glob(os.path.join(os.path.dirname(psycopg.__file__), "..", "psycopg_binary.libs", "libpq-*"))[0])
BEARER_TOKEN = 1  # PQAUTHDATA_OAUTH_BEARER_TOKEN


class Request(ctypes.Structure):
    _fields_ = [("discovery", ctypes.c_char_p), ("scope", ctypes.c_char_p), ("poll", ctypes.c_void_p), ("cleanup", ctypes.c_void_p), ("token", ctypes.c_char_p), ("user", ctypes.c_void_p)]


token = b""
asked = []


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(Request))
def give(kind, _connection, request):
    if kind != BEARER_TOKEN:
        return 0
    asked.append([request.contents.discovery.decode(), request.contents.scope.decode()])
    request.contents.token = token
    return 1


def log_in(with_token):
    global token
    token = with_token
    place = dict(host=os.environ["PGHOST"], port=os.environ["PGPORT"], user=os.environ["PGUSER"], dbname=os.environ["PGDATABASE"])
    try:
        with psycopg.connect(oauth_issuer=os.environ["ISSUER"], oauth_client_id="agent", **place) as connection:
            return connection.execute("select 7").fetchone()[0]
    except psycopg.OperationalError as error:
        return str(error).partition("FATAL:")[2].strip()


library.PQsetAuthDataHook(give)
json.dump({"in": log_in(os.environb[b"TOKEN"]), "refused": log_in(b"not-a-token"), "asked": asked}, sys.stdout)

"""A WSGI application that serves a greeting, a catalogue and what this instance is."""

import os


def _read(variable):
    with open(os.environ[variable], "rb") as file:
        return file.read()


def application(environ, start_response):
    path = environ.get("PATH_INFO", "/")
    status, kind = "200 OK", "text/plain; charset=utf-8"
    if path == "/":
        body = (os.environ["GREETING"] + "\n").encode()
    elif path == "/health":
        body = b"ok\n"
    elif path == "/catalog":
        body = _read("CATALOG")
    elif path == "/instance":
        body, kind = _read("INSTANCE"), "application/json"
    else:
        status, body = "404 Not Found", b"not found\n"
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]

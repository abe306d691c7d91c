"""The application of paste_site.ini, and what ``pserve paste_site.ini`` would do."""

from pathlib import Path

INI = f"config:{Path(__file__).with_suffix('.ini').resolve()}"


def make_site(global_conf, **settings):
    def hello(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "24")])
        return [b"Hello from paste.deploy\n"]

    return hello


if __name__ == "__main__":
    from paste.deploy import loadapp, loadserver

    serve = loadserver(INI)
    print("Open http://127.0.0.1:8080/ and http://127.0.0.1:8080/new_req/")
    serve(loadapp(INI))

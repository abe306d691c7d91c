"""The command line, in processes of its own: what it prints, serves and says goodbye with."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import (
    DEADLINE,
    RawClient,
    RawUpstream,
    UpstreamConnection,
    eventually,
    get,
    message,
)
from wsgiproxy.cli.command import hide_secrets, main
from wsgiproxy.cli.serve import Listener, ServerOptions, listen_error

ROOT = Path(__file__).parents[2]
WARNINGS = "error,ignore:'cgi' is deprecated:DeprecationWarning"  # WebOb 1.8 imports it


class Running(NamedTuple):
    """A started command line and what it printed until it was ready."""

    process: subprocess.Popen[str]
    lines: list[str]

    @property
    def port(self) -> int:
        """The first port it listens on."""
        found = re.search(r":(\d+)/", self.lines[0])
        assert found, self.lines
        return int(found[1])

    def get(self, target: str) -> tuple[int, bytes]:
        """Status and body of an answer."""
        with RawClient(("127.0.0.1", self.port)) as client:
            response = client.exchange(get(target))
        return response.status, response.body

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Its exit status after a signal."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start ``python -m wsgiproxy`` with arguments; it is ready when this returns."""
    with contextlib.ExitStack() as stack:

        def run(*arguments: str) -> Running:
            command = [sys.executable, "-m", "wsgiproxy", *arguments]
            process = stack.enter_context(
                subprocess.Popen(
                    command,
                    cwd=tmp_path,
                    env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": WARNINGS},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    bufsize=1,
                )
            )
            stack.callback(_end, process)
            return Running(process, _read_until(process, "Stop with Ctrl-C."))

        yield run


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()  # a demo that is killed could not stop its child
    try:
        process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()


def _read_until(process: subprocess.Popen[str], last: str) -> list[str]:
    lines: list[str] = []
    assert process.stdout is not None
    assert process.stderr is not None
    watchdog = threading.Timer(DEADLINE, process.kill)
    watchdog.start()
    try:
        while not lines or lines[-1] != last:
            line = process.stdout.readline()
            assert line, f"{lines} and then: {process.stderr.read()}"
            lines.append(line.rstrip("\n"))
    finally:
        watchdog.cancel()
    return lines


def complain(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command line that cannot work says, which is one line and exit status 2."""
    assert main(arguments) == 2
    printed, complaint = capfd.readouterr()
    assert printed == ""
    assert complaint.count("\n") == 1
    assert complaint.startswith("wsgiproxy: ")
    return complaint[len("wsgiproxy: ") :].rstrip("\n")


def test_start_prints_addresses_and_routes(start: Start, upstream: RawUpstream) -> None:
    running = start("--listen", "127.0.0.1:0", f"/new_req={upstream.url}", "/b=https://b.example/x")
    assert re.fullmatch(r"Listening on http://127\.0\.0\.1:\d+/", running.lines[0])
    assert [line.split("->")[0].strip() for line in running.lines[1:4]] == [
        "/new_req",
        "/b",
        "all else",
    ]
    assert running.lines[1].endswith(upstream.url)


def test_route_is_proxied_and_all_else_not_found(start: Start, upstream: RawUpstream) -> None:
    running = start("--listen", "0", f"/new_req={upstream.url}")
    assert running.get("/new_req/x?y") == (200, b"ok")
    assert upstream.requests[0].target == "/x?y"
    assert running.get("/") == (404, b"Not found\n")


def test_url_alone_takes_every_request(start: Start, upstream: RawUpstream) -> None:
    running = start("--listen", "0", upstream.url)
    assert running.get("/any/thing") == (200, b"ok")
    assert upstream.requests[0].target == "/any/thing"


def test_without_listen_only_the_loopback_is_bound() -> None:
    assert ServerOptions().listen == (Listener("127.0.0.1", 8080),)
    assert ServerOptions(listen="8000").listen == (Listener("127.0.0.1", 8000),)


def test_app_in_current_folder_answers_the_rest(
    start: Start, upstream: RawUpstream, tmp_path: Path
) -> None:
    (tmp_path / "mysite.py").write_text(
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Length', '4')])\n"
        "    return [b'mine']\n"
    )
    running = start("--listen", "0", "--app", "mysite:application", f"/p={upstream.url}")
    assert running.get("/") == (200, b"mine")
    assert running.get("/p/") == (200, b"ok")
    assert running.lines[2].endswith("mysite:application")


def test_several_listen_options_are_all_served(start: Start, upstream: RawUpstream) -> None:
    running = start("--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", f"/p={upstream.url}")
    ports = [int(port) for port in re.findall(r":(\d+)/", running.lines[0])]
    assert len(set(ports)) == 2
    for port in ports:
        with RawClient(("127.0.0.1", port)) as client:
            assert client.exchange(get("/p/")).body == b"ok"


def test_options_of_the_command_line_win_over_the_file(
    start: Start, upstream: RawUpstream, tmp_path: Path
) -> None:
    (tmp_path / "proxy.toml").write_text(
        f'[server]\nlisten = "127.0.0.1:1"\n[defaults]\nstrip_prefix = true\n'
        f'[routes]\n"/a" = "{upstream.url}"\n'
    )
    running = start(
        "--config", "proxy.toml", "--listen", "0", "--no-strip-prefix", f"/b={upstream.url}"
    )
    assert running.get("/a/x")[0] == running.get("/b/x")[0] == 200
    assert [request.target for request in upstream.requests] == ["/a/x", "/b/x"]


def test_header_options_may_be_repeated(start: Start, upstream: RawUpstream) -> None:
    headers = ["--request-headers", "X-One: 1", "--request-headers", "X-Two: 2"]
    running = start("--listen", "0", *headers, f"/p={upstream.url}")
    assert running.get("/p/")[0] == 200
    sent = upstream.requests[0].headers
    assert (sent.get("X-One"), sent.get("X-Two")) == ("1", "2")


def test_forwarded_headers_of_clients_are_kept_from_the_application_unless_trusted(
    start: Start, upstream: RawUpstream
) -> None:
    request = get("/p/", "X-Forwarded-For: 192.0.2.7")
    for trusted, seen in (([], "127.0.0.1"), (["--trusted-proxies", "127.0.0.1"], "192.0.2.7")):
        running = start("--listen", "0", *trusted, f"/p={upstream.url}")
        with RawClient(("127.0.0.1", running.port)) as client:
            client.exchange(request)
        forwarded = upstream.requests[-1].headers.get("X-Forwarded-For") or ""
        assert forwarded.startswith(seen)


def test_secrets_of_a_request_are_in_no_log(start: Start, upstream: RawUpstream) -> None:
    running = start("--verbose", "--listen", "0", f"/p={upstream.url}", "/down=http://127.0.0.1:9")
    secrets = ["Authorization: Bearer s3cret", "Cookie: session=s3cret"]
    for target, status in (("/p/?token=s3cret", 200), ("/down/?token=s3cret", 502)):
        with RawClient(("127.0.0.1", running.port)) as client:
            assert client.exchange(get(target, *secrets)).status == status
    running.stop()
    assert running.process.stderr is not None
    logged = running.process.stderr.read()
    assert "/down" in logged
    assert "s3cret" not in logged


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)], ids=["term", "ctrl-c"]
)
def test_signal_stops_it_cleanly(
    start: Start, upstream: RawUpstream, number: signal.Signals, status: int
) -> None:
    running = start("--listen", "0", f"/p={upstream.url}")
    running.get("/p/")
    assert running.stop(number) == status
    assert running.process.stderr is not None
    said = running.process.stderr.read()
    assert "Traceback" not in said
    assert "Warning" not in said


def test_answer_at_work_is_finished_after_sigterm(start: Start, upstream: RawUpstream) -> None:
    asked, told = threading.Event(), threading.Event()

    def handler(conn: UpstreamConnection) -> None:
        conn.read_request()
        asked.set()
        assert told.wait(DEADLINE)
        conn.send(message("HTTP/1.1 200 OK", ["Content-Length: 4"], b"late"))

    upstream.script(handler)
    running = start("--listen", "0", f"/p={upstream.url}")
    with RawClient(("127.0.0.1", running.port)) as client:
        client.send(get("/p/"))
        assert asked.wait(DEADLINE)
        running.process.terminate()
        eventually(lambda: not _is_listening(running.port), what="no new clients")
        told.set()
        assert client.read_response().body == b"late"
    assert running.process.wait(DEADLINE) == 0


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_demo_shows_an_application_and_the_current_folder(start: Start, tmp_path: Path) -> None:
    (tmp_path / "a file.txt").write_text("hello")
    running = start("--demo", "--listen", "0")
    status, page = running.get("/")
    assert (status, b'<a href="/new_req/">' in page) == (200, True)
    assert b'href="a%20file.txt"' in running.get("/new_req/")[1]
    assert running.get("/new_req/a%20file.txt") == (200, b"hello")
    assert f"http://127.0.0.1:{running.port}/new_req/" in running.lines[-2]


def test_demo_stops_its_service_at_the_end(start: Start) -> None:
    running = start("--demo", "--listen", "0")
    service = re.search(r"http://127\.0\.0\.1:(\d+)$", running.lines[1])
    assert service, running.lines
    with socket.create_connection(("127.0.0.1", int(service[1]))):
        pass
    assert running.stop() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(service[1])))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no route given; write /new_req=http://localhost:9999, or try --demo"),
        (["--thread", "3"], "unknown option --thread; did you mean --threads?"),
        (["--zzz=1"], "unknown option --zzz; see wsgiproxy --help"),
        (["--listen"], "argument --listen: expected one argument; see wsgiproxy --help"),
        (["/a"], "'/a' is no route; write PREFIX=URL, such as /new_req=http://localhost:9999"),
        (["a=http://b"], "'a=http://b' is no route; write PREFIX=URL"),
        (["/a=ftp://b"], "route /a: upstream 'ftp://b' is no http, https or unix URL; write"),
        (["/a=http://b:99999"], "route /a: upstream 'http://b:99999'"),
        (["/a=http://b", "/a=http://c"], "two routes for prefix '/a'; leave one out"),
        (["/a=http://b", "/a/=http://c"], "two routes for prefix '/a'"),
        (["/a="], 'route /a: it has no upstream; write "http://localhost:9999"'),
        (["/a b=http://c"], "prefix '/a b' is no plain path"),
        (["--threads", "no", "/a=http://b"], "option threads: 'no' is no whole number; write"),
        (["--threads", "0", "/a=http://b"], "option threads: it must be at least 1"),
        (["--read-timeout", "-1", "/a=http://b"], "option read_timeout: '-1' is no number of"),
        (["--app", "nosuch.wsgi:app", "/a=http://b"], "cannot be imported (No module named"),
        (["--app", "nosuch", "/a=http://b"], "'nosuch' names no WSGI application; write package."),
        (["--app", "os:nosuch", "/a=http://b"], "app 'os:nosuch' cannot be imported"),
        (["--app", "os:sep", "/a=http://b"], "'os:sep' is no WSGI application"),
        (["--rewrite", "os:nosuch", "/a=http://b"], "option modify_request: 'os:nosuch' cannot b"),
        (["--config", "nosuch.toml"], "nosuch.toml: No such file or directory; check the name"),
        (["--listen", "a.invalid:80", "/a=http://b"], "a.invalid:80: the host name is unknown"),
        (["--listen", "192.0.2.1:80", "/a=http://b"], "this machine has no such address"),
        (["--listen", ":80", "/a=http://b"], "':80' is no address to listen on; write 127.0"),
        (["--listen", "1.2.3.4", "/a=http://b"], "'1.2.3.4' is no address to listen on"),
        (["--listen", "h:65536", "/a=http://b"], "'h:65536' is no address to listen on"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(
    capfd: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in complain(capfd, *arguments)


def test_port_in_use_names_port_and_remedy(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        complaint = complain(capfd, "--listen", address, "/a=http://b")
    remedy = "the port is in use; stop what holds it, or give another --listen"
    assert complaint == f"cannot listen on {address}: {remedy}"


def test_port_that_needs_rights_names_the_remedy() -> None:
    # As root no port is refused, so what the system would say is given here.
    error = listen_error(Listener("0.0.0.0", 80), OSError(errno.EACCES, "Permission denied"))
    assert "ports below 1024 need rights" in str(error)
    assert "--listen 127.0.0.1:8080" in str(error)


def test_application_whose_module_fails_is_named_with_its_line(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_site.py").write_text("import os\n1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    complaint = complain(capfd, "--app", "broken_site:app", "/a=http://b")
    assert "ZeroDivisionError: division by zero" in complaint
    assert "broken_site.py, line 2" in complaint


def test_password_in_a_url_is_never_shown(capfd: pytest.CaptureFixture[str]) -> None:
    for url in ("http://user:s3cret@b", "ftp://user:s3cret@b", "http://user:s3cret@b:x"):
        assert "s3cret" not in complain(capfd, f"/a={url}")
    assert "s3cret" not in complain(capfd, "a=http://user:s3cret@b")
    assert hide_secrets("x 'https://u:a@b@host/'") == "x 'https://...@host/'"


def test_help_teaches_with_examples(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    printed = capfd.readouterr().out
    assert "wsgiproxy /new_req=http://localhost:9999" in printed
    for option in ("--listen", "--strip-prefix", "--read-timeout", "--trusted-proxies"):
        assert option in printed


def test_version_is_that_of_the_package(capfd: pytest.CaptureFixture[str]) -> None:
    import wsgiproxy

    with pytest.raises(SystemExit):
        main(["--version"])
    assert capfd.readouterr().out == f"wsgiproxy {wsgiproxy.__version__}\n"

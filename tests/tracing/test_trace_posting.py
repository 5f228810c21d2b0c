"""The connection that carries spans: kept, opened again, through a proxy, with a name and a password, by TLS."""

import base64
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agentcomm.tracing.posting import Poster


class Server:
    """Keeps what it was asked; ends each connection after so many requests."""

    def __init__(self, per_connection=100, tls=None, most=1 << 30):
        self.asked, self.connections = [], 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                self.left = per_connection
                outer.connections += 1

            def do_POST(self):
                if int(self.headers["content-length"]) > most:  # it is not even read
                    self.send_error(413)
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.asked.append((self.path, dict(self.headers), body))
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")
                self.left -= 1
                if not self.left:  # without a word, as servers end idle connections
                    self.close_connection = True

            def do_CONNECT(self):
                outer.asked.append((self.path, dict(self.headers), b""))
                self.send_error(403)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.http.socket = tls.wrap_socket(self.http.socket, server_side=True)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def serve():
    started = []

    def start(**how):
        started.append(Server(**how))
        return started[-1]

    yield start
    for one in started:
        one.http.shutdown()
        one.http.server_close()


def post(url, data=b"x", seconds=5, tls=None):
    poster = Poster(url, {}, tls)
    try:
        return poster.post([data[:1], data[1:]], seconds)
    finally:
        poster.close()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_one_connection_carries_many_requests_and_is_opened_again_where_the_server_ended_it(serve):
    server = serve(per_connection=2)
    poster = Poster(f"http://127.0.0.1:{server.port}/v1/traces?to=a", {"x-team": "shop"}, None)
    for n in range(5):
        answer = poster.post([b"%d" % n], 5)
        assert (answer.status, answer.content) == (200, b"ok")
    assert server.connections == 3
    assert [(path, body) for path, _, body in server.asked] == [
        ("/v1/traces?to=a", b"%d" % n) for n in range(5)
    ]
    assert all(headers["x-team"] == "shop" for _, headers, _ in server.asked)
    poster.close()


def test_one_that_reads_no_further_is_heard(serve):
    server = serve(most=100)
    poster = Poster(f"http://127.0.0.1:{server.port}/v1", {}, None)
    for _ in range(3):
        assert poster.post([bytes(1 << 20)] * 8, 5).status == 413
        assert poster.post([b"x"], 5).status == 200
    poster.close()
    assert len(server.asked) == 3


def test_a_server_that_is_not_there_is_an_error_of_the_system():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        post(f"http://127.0.0.1:{port}/", b"")


def test_one_that_does_not_answer_is_waited_for_no_longer_than_said():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        poster = Poster(f"http://127.0.0.1:{silent.getsockname()[1]}/", {}, None)
        with pytest.raises(TimeoutError):
            poster.post([b"x"], 0.2)


def test_a_name_and_a_password_are_sent_but_not_in_the_path(serve):
    server = serve()
    post(f"http://us%20er:pa%3Ass@127.0.0.1:{server.port}/v1", b"")
    ((path, headers, _),) = server.asked
    assert path == "/v1"
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")) == b"us er:pa:ss"


def test_the_environments_proxy_is_used_but_never_for_this_machine(serve, monkeypatch):
    proxy = serve()
    monkeypatch.setenv("http_proxy", f"http://me:pw@127.0.0.1:{proxy.port}")
    poster = Poster("http://u:p@backend.example:4318/v1/traces", {}, None)
    for _ in range(2):
        assert poster.post([b"x"], 5).status == 200
    path, headers, _ = proxy.asked[1]
    assert path == "http://backend.example:4318/v1/traces"
    assert headers["Host"] == "backend.example:4318"
    assert base64.b64decode(headers["proxy-authorization"].removeprefix("Basic ")) == b"me:pw"
    with pytest.raises(ConnectionRefusedError):
        post("http://127.0.0.1:9/", b"x")
    monkeypatch.setenv("no_proxy", "backend.invalid")
    with pytest.raises(OSError, match=r"."):
        post("http://backend.invalid/", b"x")
    assert len(proxy.asked) == 2
    poster.close()


def test_a_proxy_carries_tls_through_a_tunnel(serve, monkeypatch):
    proxy = serve()
    monkeypatch.setenv("https_proxy", f"127.0.0.1:{proxy.port}")
    with pytest.raises(OSError, match="403"):
        post("https://backend.example/v1", tls=ssl.create_default_context())
    assert proxy.asked[0][0] == "backend.example:443"


def test_tls_is_checked_against_the_authority_that_is_named(serve, tmp_path):
    key, authority = tmp_path / "key.pem", tmp_path / "ca.pem"
    made = subprocess.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
        f"-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout {key.name} -out {authority.name}".split(),
        capture_output=True,
        check=False,
        cwd=tmp_path,
    )
    if made.returncode:
        pytest.skip("no openssl here")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority, key)
    server = serve(tls=tls)
    url = f"https://127.0.0.1:{server.port}/v1"
    assert post(url, tls=ssl.create_default_context(cafile=str(authority))).status == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        post(url, tls=ssl.create_default_context())

"""mlx-lm's OpenAI-compatible server on loopback, asked by the openai package and by rude clients."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import mlx.core as mx
import pytest
from lm_folder import needs_mlx_lm, write_tiny_model

pytestmark = needs_mlx_lm
PROMPT = "A graph of nodes"


class Server:
    """A server process for one model."""

    def __init__(self, folder, log):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = ["-m", "mlx_lm", "server", "--model", str(folder), "--port", str(self.port)]
        self.log = log
        self.url = f"http://127.0.0.1:{self.port}"
        with open(log, "w") as out:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                stdout=out,
                stderr=out,
                env=os.environ | {"HF_HUB_OFFLINE": "1"},
            )

    def wait(self):
        for _ in range(600):
            assert self.process.poll() is None, self.log.read_text()
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=5).read()
                return self
            except OSError:
                time.sleep(0.2)
        raise AssertionError(self.log.read_text())

    def post(self, body, path="/v1/completions"):
        """Status and text of the answer to any bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def complete(self, prompt=PROMPT, **settings):
        body = {"prompt": prompt, "max_tokens": 12, **settings}
        for _ in range(10):
            try:
                status, text = self.post(body)
                break
            except (ConnectionError, urllib.error.URLError):
                time.sleep(0.2)  # the queue of Python's server is five long; clients come again
        assert status == 200, text
        return json.loads(text)["choices"][0]["text"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("served") / "model")


@pytest.fixture(scope="module")
def server(folder):
    running = Server(folder, folder.parent / "log.txt")
    yield running.wait()
    running.process.terminate()
    running.process.wait(timeout=60)


@pytest.fixture
def client(server):
    import openai

    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", timeout=120) as made:
        yield made


def test_chat(client):
    messages = [{"role": "user", "content": "What is a node?"}]
    settings = {"model": "default_model", "messages": messages, "max_tokens": 12, "temperature": 0}
    answer = client.chat.completions.create(**settings)
    assert answer.choices[0].finish_reason in ("length", "stop")
    assert answer.usage.completion_tokens <= 12
    pieces = client.chat.completions.create(**settings, stream=True)
    text = "".join(p.choices[0].delta.content or "" for p in pieces if p.choices)
    assert text == answer.choices[0].message.content != ""


def test_completions_are_what_the_model_says(client, server, folder):
    import mlx_lm

    model, tokenizer = mlx_lm.load(str(folder))
    tokens = tokenizer.encode(PROMPT)
    for _ in range(12):
        tokens.append(mx.argmax(model(mx.array([tokens]))[0, -1]).item())
    detokenizer = tokenizer.detokenizer  # leaves out a space in front, where decode does not
    for token in tokens[-12:]:
        detokenizer.add_token(token)
    detokenizer.finalize()
    expected = detokenizer.text
    answer = client.completions.create(
        model="default_model", prompt=PROMPT, max_tokens=12, temperature=0
    )
    assert answer.choices[0].text == expected
    assert server.complete(temperature=0) == expected


def test_seeds(server):
    first = server.complete(temperature=1.0, seed=7, max_tokens=24)
    assert server.complete(temperature=1.0, seed=7, max_tokens=24) == first
    assert server.complete(temperature=1.0, seed=8, max_tokens=24) != first
    # Without a seed each call draws anew, and tokens differ within a call.
    drawn = {server.complete(temperature=1.0, max_tokens=24) for _ in range(4)}
    assert len(drawn) == 4


def test_malformed_requests(server):
    for body in (b"", b"{", b"[1, 2]", b"\xff\xfe", b'"text"'):
        try:
            status, _ = server.post(body)
        except (ConnectionError, urllib.error.URLError):
            continue  # hung up on what is no text
        assert 400 <= status < 500, body
    for wrong in (
        {"prompt": PROMPT, "max_tokens": -1},
        {"prompt": PROMPT, "temperature": "hot"},
        {"prompt": PROMPT, "top_p": 2},
        {"prompt": PROMPT, "logit_bias": {"x": 1}},
        {"max_tokens": 4},
    ):
        status, text = server.post(wrong)
        assert 400 <= status < 500 and "error" in text, wrong
    assert server.post({"prompt": PROMPT}, "/v1/nothing")[0] == 404
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(b"\x00\x01 nonsense\r\n\r\n")
        raw.settimeout(30)
        assert b"400" in raw.recv(4096) or raw.recv(4096) == b""
    assert server.complete(temperature=0) != ""


def test_clients_that_leave(server):
    expected = server.complete(temperature=0)
    body = json.dumps({"prompt": PROMPT, "max_tokens": 200, "stream": True}).encode()
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    )
    for wait in (0, 0, 0.05, 0.2):
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(head + (body[:10] if wait == 0 else body))
            time.sleep(wait)
    assert server.complete(temperature=0) == expected


def test_32_clients_at_once(server):
    alone = [server.complete(f"{PROMPT} {i}", temperature=0) for i in range(4)]
    with ThreadPoolExecutor(32) as pool:
        answers = list(
            pool.map(lambda i: server.complete(f"{PROMPT} {i % 4}", temperature=0), range(32))
        )
    assert len(answers) == 32 and all(answers)
    agreeing = sum(answer == alone[i % 4] for i, answer in enumerate(answers))
    assert agreeing == 32

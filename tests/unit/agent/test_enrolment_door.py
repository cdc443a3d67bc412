"""The word of a one-time token goes to the manager, and nowhere else."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from tinyfleet.agent.adapters.enrolment import ManagerDoor, address_of, read_tokens
from tinyfleet.agent.cli import bench_provision, cli
from tinyfleet.agent.core.errors import AgentError, StepFailed
from tinyfleet.agent.core.provisioning import Way
from tinyfleet.agent.services.provisioning_job import Job, Outcome
from tinyfleet.agent.services.provisioning_ports import LabelFiles

WORD = "tfe_" + "w" * 43


class Answering(HTTPServer):
    """Answers every request alike, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answerer)
        self.status = 200
        self.body = b"{}"
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[str, str | None]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answerer(BaseHTTPRequestHandler):
    server: Answering

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"]))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def manager() -> Iterator[Answering]:
    server = Answering()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()


def test_what_is_no_manager_is_told_as_such() -> None:
    """Another program's port was named."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def greet() -> None:
            link, _ = door.accept()
            with link:
                link.recv(4096)
                link.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        with pytest.raises(AgentError, match="does not answer as a manager does"):
            ManagerDoor(f"http://127.0.0.1:{door.getsockname()[1]}").state(WORD)
        thread.join(10)


def test_the_word_stands_in_the_header_alone(manager: Answering) -> None:
    token = {"state": "OPEN", "device": None, "device_type": None, "replaces": False}
    manager.body = json.dumps({"token": token, "trust": "AAAA", "firmware": None}).encode()
    offer = ManagerDoor(manager.address).offer(WORD)
    assert (offer.state, offer.trust, offer.firmware) == ("OPEN", bytes(3), None)
    assert manager.asked == [("/api/v1/enrol", f"Bearer {WORD}")]


@pytest.mark.parametrize(
    "address",
    [
        *("", "127.0.0.1:80", "ftp://127.0.0.1", "https://", "http://[::1", "http://localhost:http"),
        *("http://localhost:70000", "https://me:secret@manager.lab", "http://localhost:0"),
    ],
)
def test_what_is_no_address_is_said_and_not_repeated(address: str) -> None:
    with pytest.raises(AgentError, match="the manager's address is none; give") as caught:
        ManagerDoor(address)
    assert "secret" not in str(caught.value)


def test_it_follows_nobody_and_asks_no_proxy(manager: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Answering()
    monkeypatch.setenv("http_proxy", other.address)
    manager.status, manager.headers = 302, {"Location": other.address}
    with pytest.raises(AgentError, match="status 302"):
        ManagerDoor(manager.address).offer(WORD)
    assert len(manager.asked) == 1 and other.asked == []
    other.server_close()


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'"x"', b'{"token": 1}', b'{"token": {}, "trust": "!", "firmware": null}']
)
def test_an_answer_that_is_none(manager: Answering, body: bytes) -> None:
    manager.body = body
    with pytest.raises(AgentError, match="does not answer as a manager does"):
        ManagerDoor(manager.address).offer(WORD)


def test_what_the_manager_says_is_told_without_the_word(manager: Answering) -> None:
    manager.body = b'{"kind": "Http", "message": "too many"}'
    for status, hint in ((401, "is the token of this manager"), (429, "wait a minute"), (422, "see docs/")):
        manager.status = status
        with pytest.raises(AgentError, match="the manager says: too many") as caught:
            ManagerDoor(manager.address).offer(WORD)
        assert hint in caught.value.hint and WORD not in str(caught.value)
    gone = manager.address.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(AgentError, match="does not answer"):
        ManagerDoor("http://127.0.0.1:1").offer(WORD)
    with pytest.raises(AgentError, match="must not cross a network in the clear"):
        ManagerDoor(gone)
    for wrong in ("", "manager:80", "ftp://127.0.0.1", "file:///etc/passwd"):
        with pytest.raises(AgentError, match="address"):
            ManagerDoor(wrong)


def test_a_file_of_tokens(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    with pytest.raises(AgentError, match="cannot read"):
        read_tokens(path)
    for content in ("", "\n\n", "x\n", WORD + "x\n", WORD + "\nsecret\n", "tfe_é\n", f"{WORD}\n" * 1001):
        path.write_text(content)
        path.chmod(0o600)
        with pytest.raises(AgentError) as caught:
            read_tokens(path)
        assert "secret" not in str(caught.value) and WORD not in str(caught.value)
    path.write_text(f"\n{WORD}\n  {WORD} \n")
    assert read_tokens(path) == (WORD, WORD)
    path.chmod(0o640)
    with pytest.raises(AgentError, match="others may read it"):
        read_tokens(path)


def test_where_a_manager_runs(tmp_path: Path) -> None:
    assert address_of(tmp_path) is None
    (tmp_path / "endpoints.json").write_text('{"api": "http://127.0.0.1:5"}')
    assert address_of(tmp_path) == "http://127.0.0.1:5"


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    def told(*words: str) -> str:
        tokens = ["--tokens", str(tmp_path / "tokens"), "--state", str(tmp_path)]
        bench = ["--bench", str(tmp_path / "bench.yaml")]
        done = CliRunner().invoke(cli, ["bench", "provision", *tokens, *bench, *words])
        assert done.exit_code == 1 and done.output.count("\n") == 1
        return done.output

    assert "no manager runs" in told()
    (tmp_path / "endpoints.json").write_text('{"api": "http://127.0.0.1:5"}')
    assert "cannot read" in told()
    (tmp_path / "bench.yaml").write_text(
        "boards:\n  - {name: a, device_type: mps2-an386, probe: qemu-mps2-an386-0001}\n"
        "  - {name: b, device_type: mps2-an386, probe: qemu-mps2-an386-0002}\n"
    )
    assert "--name is for one board" in told("--name", "d1")
    assert "cannot read the tokens" in told()
    (tmp_path / "tokens").write_text(WORD)
    (tmp_path / "tokens").chmod(0o600)
    assert "no board 'x'" in told("--boards", "x")
    assert "in the clear" in told("--manager", "http://192.0.2.1")


def test_boards_are_taken_one_after_another_until_there_are_enough(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: list[str] = []
    asked: list[int] = []

    class Jig:
        def provision(self, provisioner: object, board: str, job: object, say: object) -> Outcome:
            taken.append(board)
            if len(taken) == 6:
                raise StepFailed(board, "PROBE", "no answer", "check the cable")
            label = LabelFiles((), "")
            return Outcome(board, f"d{len(taken)}", "mps2-an386", "s", Way.NEW, label, 1.0, emulated=True)

    def next_boards(missing: int) -> bool:
        asked.append(missing)
        return len(asked) < 3

    monkeypatch.setattr(bench_provision, "_next_boards", next_boards)
    words = Job(words=(WORD,))
    done, failed = bench_provision._all(Jig(), None, ["a", "b"], 3, words, False)  # type: ignore[arg-type]
    assert (taken, [each.device for each in done], failed) == (["a", "b", "a"], ["d1", "d2", "d3"], [])
    assert asked == [1]
    # One fails: the others of that round are done, and nobody is asked for more.
    done, failed = bench_provision._all(Jig(), None, ["a", "b", "c", "d"], 9, words, False)  # type: ignore[arg-type]
    assert [each.board for each in done] == ["a", "b", "d"] and asked == [1]
    assert failed == [{"board": "c", "step": "PROBE", "cause": "no answer", "next": "check the cable"}]
    shown, told = capsys.readouterr()
    assert "a is d1 (emulated mps2-an386, serial s): new, heard" in shown
    assert "c: PROBE: no answer" in told and "3 of 9 boards are devices now" in told

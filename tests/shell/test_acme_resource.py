"""What is served at /.well-known/acme-challenge."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rtcd.acme.challenges import Challenges
from rtcd.acme.resource import CHALLENGE_PATH, MAX_FILE_BYTES, ChallengeResource
from rtcd.site.tree import Tree
from tests.fakes import FakeAnswer, make_request


class ChallengeResourceTests(SynchronousTestCase):
    """In a tree like the doorway's, with a directory of another ACME client."""

    def setUp(self) -> None:
        """The directory is there but not set."""
        self.challenges = Challenges()
        self.root = Path(self.mktemp())
        self.folder = self.root / CHALLENGE_PATH.lstrip("/")
        self.folder.mkdir(parents=True)
        self.webroot: str | None = None
        self.tree = Tree()
        self.tree.add(CHALLENGE_PATH, ChallengeResource(self.challenges, lambda: self.webroot))

    def get(self, rest: str, method: str = "GET") -> FakeAnswer:
        """Ask for what is at ``rest`` below the path."""
        return make_request(self.tree, method, f"{CHALLENGE_PATH}{rest}", secure=False)

    def test_a_token_of_ours_is_answered_with_its_key_authorization(self) -> None:
        """RFC 8555 §8.3: as it is, in the media type of octets."""
        self.challenges.put_http("abc_-1", "abc_-1.thumb")
        answer = self.get("/abc_-1")
        self.assertEqual((answer.code, answer.body), (200, b"abc_-1.thumb"))
        self.assertEqual(answer.header("Content-Type"), "application/octet-stream")
        head = self.get("/abc_-1", "HEAD")
        self.assertEqual((head.code, head.body), (200, b""))

    def test_everything_else_is_not_found(self) -> None:
        """In plain text."""
        self.challenges.put_http("abc", "abc.thumb")
        for rest in ("", "/", "/abd", "/abc/", "/abc/more", "/ab%2Fc", "/%00", "/%C3%A4", "/..%2Fabc", "/a.b"):
            answer = self.get(rest)
            self.assertEqual((answer.code, answer.header("Content-Type")), (404, "text/plain; charset=utf-8"), rest)
        self.assertEqual(self.get("/abc", "POST").code, 405)

    def test_files_of_another_client_are_shown_once_its_directory_is_set(self) -> None:
        """A reload can set it; ours go first."""
        (self.folder / "theirs").write_bytes(b"theirs.thumb\n")
        (self.folder / "both").write_bytes(b"theirs")
        self.challenges.put_http("both", "ours")
        self.assertEqual(self.get("/theirs").code, 404)
        self.webroot = str(self.root)
        self.assertEqual((self.get("/theirs").code, self.get("/theirs").body), (200, b"theirs.thumb\n"))
        self.assertEqual(self.get("/both").body, b"ours")
        self.webroot = str(self.root / "nothing")
        self.assertEqual(self.get("/theirs").code, 404)

    def test_only_short_plain_files_are_shown(self) -> None:
        """No links, no directories, no pipes that nobody writes to, nothing that is unreadable or long."""
        self.webroot = str(self.root)
        (self.root / "secret").write_bytes(b"secret")
        (self.folder / "link").symlink_to(self.root.resolve() / "secret")
        (self.folder / "folder").mkdir()
        os.mkfifo(self.folder / "pipe")
        (self.folder / "long").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
        before = len(os.listdir("/proc/self/fd"))
        for name in ("link", "folder", "pipe", "long", "..%2F..%2Fsecret", "../../secret"):
            self.assertEqual(self.get(f"/{name}").code, 404, name)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        (self.folder / "fits").write_bytes(b"x" * MAX_FILE_BYTES)
        self.assertEqual(len(self.get("/fits").body), MAX_FILE_BYTES)

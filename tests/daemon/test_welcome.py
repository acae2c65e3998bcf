"""What a newcomer is shown."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rtcd.doorway.directory import Directory, Listener
from rtcd.machine import own_addresses
from rtcd.welcome import ports, rank, welcome

ADDRESSES = ["127.0.0.1", "2620:fe::9", "9.9.9.9", "172.17.0.1", "10.0.0.5", "192.168.1.20", "fd00::5", "::1"]


def directory(*listeners: Listener) -> Directory:
    """What listens where."""
    made = Directory()
    for one in listeners:
        made.opened(one)
    return made


def links(text: str) -> list[str]:
    """The addresses to open."""
    return [line.strip() for line in text.splitlines() if line.startswith("    https://")]


class WelcomeTests(SynchronousTestCase):
    """A function of what listens and of this machine's addresses."""

    def test_lan_addresses_come_first_and_localhost_last(self) -> None:
        """A phone is on the LAN, and hardly on the bridge of a container; IPv6 is in brackets."""
        text = welcome(directory(Listener("web", "tls", "::", 8443)), None, ADDRESSES)
        self.assertEqual(links(text), [
            "https://192.168.1.20:8443/", "https://10.0.0.5:8443/", "https://172.17.0.1:8443/", "https://9.9.9.9:8443/",
            "https://[fd00::5]:8443/", "https://[2620:fe::9]:8443/", "https://localhost:8443/"])

    def test_a_public_origin_goes_before_all(self) -> None:
        """It is what the drawing shows."""
        text = welcome(directory(Listener("web", "tls", "::", 8443)), "https://meet.example.org", ADDRESSES)
        self.assertEqual(links(text)[0], "https://meet.example.org")
        self.assertIn("https://meet.example.org for the camera of a phone:", text)

    def test_behind_a_proxy_the_public_link_is_all_there_is(self) -> None:
        """Nobody comes here directly."""
        text = welcome(directory(Listener("web", "tcp", "127.0.0.1", 8081)), "https://meet.example.org/calls", ADDRESSES)
        self.assertEqual(links(text), ["https://meet.example.org/calls"])

    def test_a_certificate_that_browsers_warn_of_is_told_of(self) -> None:
        """With the page that says what to do, where no warning is in the way, and with what to compare there."""
        listeners = [Listener("web", "tls", "::", 8443), Listener("web", "tcp", "127.0.0.1", 8081)]
        print_ = ":".join(["AB"] * 32)
        self.assertNotIn("install", welcome(directory(*listeners), None, ADDRESSES))
        self.assertIn("https://192.168.1.20:8443/install", welcome(directory(*listeners), None, ADDRESSES, print_))
        text = welcome(directory(*listeners, Listener("web", "tcp", "::", 8080)), None, ADDRESSES, print_)
        self.assertIn("http://192.168.1.20:8080/install", text)
        self.assertIn(print_, text.replace("\n    ", ":"))

    def test_the_standard_port_is_not_said(self) -> None:
        """Nobody types it."""
        self.assertEqual(links(welcome(directory(Listener("web", "tls", "::", 443)), None, [])), ["https://localhost/"])

    def test_an_address_that_is_not_listened_on_is_not_shown(self) -> None:
        """It would not answer."""
        text = welcome(directory(Listener("web", "tls", "192.168.1.20", 8443)), None, ADDRESSES)
        self.assertEqual(links(text), ["https://192.168.1.20:8443/"])

    def test_on_loopback_alone_there_is_nothing_for_a_phone(self) -> None:
        """No drawing, and no port to let through."""
        text = welcome(directory(Listener("web", "tls", "127.0.0.1", 8443)), None, ADDRESSES)
        self.assertEqual(links(text), ["https://localhost:8443/"])
        self.assertNotIn("phone", text)
        self.assertNotIn("tcp 8443", text)

    def test_without_a_page_only_ports_are_told(self) -> None:
        """A relay alone has no page."""
        text = welcome(directory(Listener("turn", "udp", "0.0.0.0", 3478)), None, ADDRESSES)
        self.assertEqual(links(text), [])
        self.assertIn("    udp 3478         STUN and TURN\n", text)

    def test_each_port_is_told_once(self) -> None:
        """Though a socket is open on each address; ranges are one line; loopback is nobody's, the metrics no caller's."""
        lines = ports(directory(
            Listener("web", "tls", "::", 8443), Listener("web", "tcp", "::", 8080),
            *(Listener("turn", "udp", host, 3478) for host in ("127.0.0.1", "192.0.2.1", "::1")),
            Listener("turn", "tcp", "192.0.2.1", 3478), Listener("turn", "tls", "192.0.2.1", 5349),
            Listener("turn", "dtls", "192.0.2.1", 5349),
            *(Listener("turn", "udp", host, 49152, 50175) for host in ("192.0.2.1", "::1")),
            Listener("recorder", "sctp", "127.0.0.1", 9), Listener("metrics", "tcp", "192.0.2.1", 9641)))
        self.assertEqual([line.split(None, 2)[:2] for line in lines], [
            ["tcp", "8443"], ["tcp", "8080"], ["udp", "3478"], ["tcp", "3478"], ["tcp", "5349"],
            ["udp", "5349"], ["udp", "49152-50175"]])
        self.assertIn("udp 5349         STUN and TURN inside DTLS", lines)

    def test_the_machines_own_addresses_are_addresses(self) -> None:
        """Whatever they are here."""
        self.assertEqual(rank(own_addresses())[-1], "localhost")

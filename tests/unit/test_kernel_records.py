"""Records of the relay in the kernel: their bytes, and what they do to a checksum."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rtcd.kernel import records
from rtcd.kernel.records import Flow, difference, packed

HOSTS = {4: ("192.0.2.9", "198.51.100.1", "198.51.100.2", "203.0.113.7"),
         6: ("2001:db8::9", "2001:db8:1::1", "2001:db8:1::2", "2001:db8:ffff::7")}


def checksum(source: str, destination: str, ports: tuple[int, int], payload: bytes) -> int:
    """Of a UDP datagram, as RFC 768 and RFC 8200 §8.1 have it: all of it is summed."""
    ends = b"".join(packed(one)[0 if ":" in one else 12 :] for one in (source, destination))
    length = 8 + len(payload)
    data = ends + struct.pack("!HHHHHH", 17, length, *ports, length, 0) + payload + bytes(len(payload) & 1)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def swapped(number: int) -> int:
    """A word as a little-endian machine reads it from the network, which is how `difference` counts."""
    return int.from_bytes(number.to_bytes(2, "big"), "little")


class Flows(SynchronousTestCase):
    def up(self, version: int = 4) -> Flow:
        """From a client to a peer."""
        client, server, relay, peer = HOSTS[version]
        return Flow((client, 4000), (server, 3478), 0x4001, (relay, 50000), (peer, 5000), 0)

    def test_a_key_is_how_a_packet_comes_in(self) -> None:
        key = self.up().key()
        self.assertEqual(len(key), records.KEY_BYTES)
        self.assertEqual(key, bytes(10) + b"\xff\xff\xc0\x00\x02\x09" + bytes(10) + b"\xff\xff\xc6\x33\x64\x01"
                         + b"\x0f\xa0\x0d\x96\x40\x01\x00\x00")

    def test_a_record_begins_with_its_key(self) -> None:
        record = self.up().record(5, records.SIX, 3, 1500, (7,), 9)
        self.assertEqual((len(record), record[:40]), (records.FLOW_BYTES, self.up().key()))
        self.assertEqual(struct.unpack_from("=Q", record, 8 * records.UNTIL), (5,))
        self.assertEqual(struct.unpack_from("=I", record, 4 * records.INTERFACE), (3,))
        self.assertEqual(struct.unpack_from("=HH", record, 2 * records.ROOM), (1500, 0))
        self.assertEqual(struct.unpack_from("=H", record, 126), (9,))
        self.assertEqual(struct.unpack_from("=II", record, 4 * records.METERS), (7, 0))
        self.assertEqual(struct.unpack_from("=H", record, 2 * records.FLAGS), (records.SIX,))
        self.assertEqual(struct.unpack_from("=QQ", record, 8 * records.PACKETS), (0, 0))

    @given(st.binary(max_size=40), st.sampled_from((4, 6)), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
    def test_the_difference_makes_the_checksum_of_what_goes_out(
        self, payload: bytes, version: int, client_port: int, peer_port: int
    ) -> None:
        """The arithmetic of relay.bpf.c, beside sums over the whole datagrams."""
        client, server, relay, peer = HOSTS[version]
        flow = Flow((client, client_port), (server, 3478), 0x4001, (relay, 50000), (peer, peer_port), 0)
        framed = struct.pack("!HH", 0x4001, len(payload)) + payload
        old = swapped(checksum(client, server, (client_port, 3478), framed))
        (fixed,) = struct.unpack_from("=H", flow.record(0, 0, 0, 0, ()), 124)
        before, after = swapped(8 + len(framed)), swapped(8 + len(payload))
        total = (~old & 0xFFFF) + fixed + 2 * (~before & 0xFFFF) + 2 * after + (~swapped(len(payload)) & 0xFFFF)
        while total > 0xFFFF:
            total = (total & 0xFFFF) + (total >> 16)
        new = ~total & 0xFFFF
        self.assertIn(new % 0xFFFF, (swapped(checksum(relay, peer, (50000, peer_port), payload)) % 0xFFFF,))

    def test_the_way_back_undoes_it(self) -> None:
        one, other = b"\x01\x02" * 19, b"\xa0\x0b" * 19
        self.assertEqual((difference(one, other) + difference(other, one)) % 0xFFFF, 0)


class MeterRecords(SynchronousTestCase):
    def test_a_bucket_is_kept_as_times(self) -> None:
        self.assertEqual(struct.unpack("=QQQ", records.meter(9, 1000.0, 500.0)), (9, 1000, records.S // 2))

    def test_a_rate_is_never_nothing(self) -> None:
        """It would divide by it."""
        self.assertEqual(struct.unpack("=QQQ", records.meter(0, 0.2, 5.0))[1], 1)

    def test_what_bytes_cost(self) -> None:
        self.assertEqual(records.cost(200, 1000), records.S // 5)

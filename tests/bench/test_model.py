"""The cost model against figures that were worked out by hand."""
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

from harness import model  # noqa: E402

# 2 GHz, 2 instructions a cycle; a received packet costs 300 cycles for 1000 bytes, a sent segment one cycle for each byte.
EASY = model.Assumptions(clock_ghz=2, per_cycle=2, guest_crypto=2, native_crypto=0.5, native_copy=0.25, mtu=1052,
                         packet_cycles=300, segment_cycles=65536, channel_gbytes=30)
SENDING = model.Cost("sending", True, 4.0)
RECEIVING = model.Cost("receiving", False, 4.25, copies=2)


class Goodput(unittest.TestCase):
    def test_takes_off_what_ethernet_tcp_and_tls_put_around(self):
        # 12.5e9 x 8948/9038 x 16384/16406, and 12.5e9 x 1448/1538 x 16384/16406
        self.assertAlmostEqual(model.goodput(100, 9000) / 1e9, 12.358930, places=5)
        self.assertAlmostEqual(model.goodput(100, 1500) / 1e9, 11.752749, places=5)

    def test_grows_with_the_link(self):
        self.assertAlmostEqual(model.goodput(400), 40 * model.goodput(10), places=3)


class Cycles(unittest.TestCase):
    def test_of_sending_without_a_copy(self):
        # AES 0.5, (4 - 2) instructions at 2 a cycle 1, the card's driver 1
        self.assertAlmostEqual(model.cycles(SENDING, EASY), 2.5)

    def test_of_receiving_with_two_copies(self):
        # AES 0.5, copies 2 x 0.25, (4.25 - 2 - 2/8) instructions at 2 a cycle 1, 300 cycles for a packet of 1000 bytes 0.3
        self.assertAlmostEqual(model.cycles(RECEIVING, EASY), 2.3)

    def test_a_card_that_encrypts_takes_aes_and_copies_from_the_sender(self):
        self.assertAlmostEqual(model.cycles(SENDING, EASY, offload=True), 2.0)
        copying = model.Cost("sending", True, 4.25, copies=2)
        self.assertAlmostEqual(model.cycles(copying, EASY) - model.cycles(copying, EASY, offload=True), 0.5 + 2 * 0.25)

    def test_a_card_that_encrypts_changes_nothing_for_the_receiver(self):
        self.assertEqual(model.cycles(RECEIVING, EASY, offload=True), model.cycles(RECEIVING, EASY))

    def test_without_crypto_nothing_is_taken_off_or_put_back(self):
        # 4 instructions at 2 a cycle 2, the driver 1
        self.assertAlmostEqual(model.cycles(model.Cost("plain", True, 4.0, crypto=False), EASY), 3.0)

    def test_what_is_cheaper_than_aes_in_the_guest_does_not_cost_less_than_nothing(self):
        self.assertEqual(model.rest(model.Cost("", True, 1.0), EASY), 0)
        self.assertAlmostEqual(model.cycles(model.Cost("", True, 1.0), EASY), 0.5 + 1)

    def test_a_receiver_of_small_packets_pays_for_each(self):
        large, small = (model.Assumptions(mtu=mtu) for mtu in (9000, 1500))
        # 300/8948 and 300/1448 cycles
        self.assertAlmostEqual(model.wire(RECEIVING, large), 0.033527, places=6)
        self.assertAlmostEqual(model.wire(RECEIVING, small), 0.207182, places=6)
        self.assertEqual(model.wire(SENDING, large), model.wire(SENDING, small))


class Cores(unittest.TestCase):
    def test_are_bytes_times_cycles_by_the_clock(self):
        # 100 Gbit/s with packets of 1052: 12.5e9 x 1000/1090 x 16384/16406 = 11.452512e9 bytes; x 2.5 / 2e9
        self.assertAlmostEqual(model.cores(2.5, 100, EASY), 14.31564, places=4)

    def test_of_seconds_need_no_clock(self):
        # 12.35893 GB/s at 0.5 s for each GB
        self.assertAlmostEqual(model.cores_of_seconds(0.5, 100), 6.179465, places=5)

    def test_of_requests_are_those_of_their_bytes(self):
        # 16384 instructions for 4096 bytes are 4 for each, as in SENDING
        self.assertAlmostEqual(model.request_cores(16384, 4096, 100, EASY), model.cores(2.5, 100, EASY))

    def test_memory_channels_are_bytes_touched_by_what_one_carries(self):
        # 11.452512 GB/s, three times, at 30 GB/s
        self.assertAlmostEqual(model.memory_channels(3, 100, EASY), 1.1452512, places=5)


class Assumptions(unittest.TestCase):
    def test_each_is_in_view(self):
        shown = {name for name, *_ in model.SAID}
        self.assertEqual(shown | {"segment"}, set(model.Assumptions.__dataclass_fields__))


if __name__ == "__main__":
    unittest.main()

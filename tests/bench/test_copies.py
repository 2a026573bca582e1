"""How copies are counted, as far as it can be told without a guest."""
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

from harness import copies  # noqa: E402

OLD = "ffffffff8edf6f80 T copy_user_generic_string\nffffffff8edf7070 T __copy_user_nocache\nffffffffa4136c20 T _copy_to_iter\n"
NEW = "ffffffff81a T rep_movs_alternative\nffffffff81b T __copy_user_nocache\nffffffffc00 t helper\t[module]\n"


class Counting(unittest.TestCase):
    def test_looks_at_the_functions_that_a_kernel_has(self):
        self.assertEqual(copies.places(OLD), {"ffffffff8edf6f80": "DX", "ffffffff8edf7070": "DX"})
        self.assertEqual(copies.places(NEW), {"ffffffff81a": "CX", "ffffffff81b": "DX"})
        self.assertEqual(copies.places("ffffffff81a T something_else\n"), {})

    def test_adds_up_the_register_that_has_the_size(self):
        told = ("mem:0xffffffff81a:x:  ABI:2    CX:0x1000    DX:0x7\n"
                "mem:0xffffffff81b:x:  ABI:2    CX:0x9    DX:0x21\n\n")
        self.assertEqual(copies.bytes_of(told, copies.places(NEW)), 0x1000 + 0x21)
        self.assertEqual(copies.bytes_of("", copies.places(NEW)), 0)

    def test_a_guest_that_fails_is_told_with_its_last_words(self):
        with tempfile.TemporaryDirectory() as folder:
            guest = pathlib.Path(folder, "guest")
            guest.write_text("#!/bin/sh\necho booting\necho 'copies: perf ended with 255' >&2\nexit 1\n")
            guest.chmod(0o755)
            said = []
            with mock.patch.object(copies, "GUEST", guest), self.assertRaises(copies.Trouble) as caught:
                copies.count(f"{folder}/sluice", say=said.append)
        self.assertEqual(str(caught.exception), "the guest ended with 1: booting / copies: perf ended with 255")
        self.assertEqual(said, ["booting", "copies: perf ended with 255"])

    def test_the_table_has_a_line_for_each(self):
        found = [{"direction": "get", "contender": "sluice", "bytes": 100, "copied": 1, "each": 0.01}]
        self.assertEqual(len(copies.table(found)), 2)
        self.assertIn("0.0100", copies.table(found)[1])


if __name__ == "__main__":
    unittest.main()

"""As much of DER (X.690) as it takes to put a certificate or an OCSP response together again."""

BITS, OCTETS, SEQUENCE, CONTEXT_0 = 0x03, 0x04, 0x30, 0xA0


def _header(data):
    """(length of the header, length of the content) of the value that begins here."""
    first = data[1]
    if first < 0x80:
        return 2, first
    size = first & 0x7F
    return 2 + size, int.from_bytes(data[2 : 2 + size], "big")


def value(tag, content):
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content


def parts(data):
    """The values within the value that begins here, each with its header."""
    start, length = _header(data)
    found, end = [], start + length
    while start < end:
        header, size = _header(data[start:end])
        found.append(data[start : start + header + size])
        start += header + size
    return found


def content(data):
    header, length = _header(data)
    return data[header : header + length]


def sequence(content):
    return value(SEQUENCE, content)


def bits(content):
    """A BIT STRING of whole bytes."""
    return value(BITS, b"\0" + content)

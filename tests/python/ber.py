"""As much of BER (X.690) as LDAP's messages need: definite lengths, and tags below 31."""

BOOLEAN, INTEGER, OCTET_STRING, ENUMERATED, SEQUENCE, SET = 0x01, 0x02, 0x04, 0x0A, 0x30, 0x31


def element(tag, content):
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def integer(number, tag=INTEGER):
    """Of a number that is not negative: one more octet where the first bit would make it so."""
    return element(tag, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def octets(text, tag=OCTET_STRING):
    return element(tag, text.encode())


def sequence(*elements, tag=SEQUENCE):
    return element(tag, b"".join(elements))


def read_element(read):
    """One element as (tag, content); `read(n)` answers exactly n bytes."""
    tag, length = read(2)
    if length & 0x80:
        length = int.from_bytes(read(length & 0x7F), "big")
    return tag, read(length) if length else b""


def split(content):
    """The elements that a constructed element's content is made of."""
    elements, position = [], 0

    def read(count):
        nonlocal position
        position += count
        assert position <= len(content), f"an element ends after its constructor: {content!r}"
        return content[position - count : position]

    while position < len(content):
        elements.append(read_element(read))
    return elements

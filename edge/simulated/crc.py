"""CRC_A as a MIFARE card computes it (ISO/IEC 14443-3:2018, 6.2.4 and Annex B)."""

PRESET = 0x6363
_POLYNOMIAL = 0x8408  # x^16 + x^12 + x^5 + 1, least significant bit first


def crc_a(data: bytes, *, preset: int = PRESET) -> bytes:
    """Return the two check bytes of a frame, in the order in which they go over the air.

    It is written bit by bit, unlike the one in `edge.hardware.frames`, so that an error in
    either shows itself when the two meet.

    Args:
        data: the frame without its check bytes.
        preset: start value; 0x6363 for ISO/IEC 14443 type A.
    """
    register = preset
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (_POLYNOMIAL if register & 1 else 0)
    return register.to_bytes(2, "little")


def has_good_crc(frame: bytes) -> bool:
    """Say whether the last two bytes of `frame` are the CRC_A of those before."""
    return len(frame) > 2 and crc_a(frame[:-2]) == frame[-2:]  # noqa: PLR2004 - the CRC's length

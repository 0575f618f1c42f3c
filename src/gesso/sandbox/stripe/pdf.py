"""A small PDF: one page, Helvetica, a heading, lines, and rows of two columns."""

from collections.abc import Sequence

_WIDTH, _HEIGHT, _MARGIN = 595, 842, 56
_LINE = 16
_ROWS_ON_A_PAGE = 38


def _escaped(text: str) -> bytes:
    shown = text.replace("−", "-").replace("×", "x").replace("€", "EUR ")
    data = shown.encode("cp1252", "replace")
    return data.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _text(x: float, y: float, size: int, text: str) -> bytes:
    return b"BT /F1 %d Tf %.1f %.1f Td (%s) Tj ET\n" % (size, x, y, _escaped(text))


def document(title: str, lines: Sequence[str], rows: Sequence[tuple[str, str]]) -> bytes:
    """The file. Rows that do not fit on the page are left out but for the last ones, which hold the totals."""
    if len(rows) > _ROWS_ON_A_PAGE:
        rows = [*rows[: _ROWS_ON_A_PAGE - 5], ("…", ""), *rows[-4:]]
    y = _HEIGHT - _MARGIN - 20
    drawn = [_text(_MARGIN, y, 20, title)]
    y -= 2 * _LINE
    for line in lines:
        drawn.append(_text(_MARGIN, y, 10, line))
        y -= _LINE
    y -= _LINE
    for left, right in rows:
        drawn.append(_text(_MARGIN, y, 10, left[:80]))
        drawn.append(_text(_WIDTH - _MARGIN - 5.6 * len(right), y, 10, right))
        y -= _LINE
    stream = b"".join(drawn)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>" % (_WIDTH, _HEIGHT),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    data = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(data)

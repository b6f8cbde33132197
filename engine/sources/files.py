"""
Audit records from files, for `tocsin scan`: whatever form they were saved in, plain or gzip.

A file is cut into parts that can be looked at by themselves, here or in another process (`parts`): about half a
megabyte of whole lines, or of whole items of a large document's array. `records` looks at each (`found`). What a text
is, `engine.sources.forms` decides. What cannot be read costs a message with its place, never the rest of the run.

Memory is that of a part. A line, or one document that is no array of events and runs over many lines, is read whole.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import re
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO, Final, cast

from engine.kinds.decoder import without_bom
from engine.sources.forms import (
    AWS,
    FIRST_NAME,
    OPENING,
    TENCENT,
    Found,
    OnProblem,
    in_document,
    in_lines,
    in_remains,
    in_torn,
    is_array,
    too_long,
    why_not_json,
)

_Gunzip: type[gzip.GzipFile] = gzip.GzipFile
_DAMAGED: tuple[type[Exception], ...] = (EOFError, gzip.BadGzipFile, zlib.error)
try:  # ISA-L unpacks about three times as fast; where it has no wheel, zlib does the same
    from isal import igzip, igzip_lib

    _Gunzip = igzip.IGzipFile
    _DAMAGED = (*_DAMAGED, cast("type[Exception]", igzip_lib.IsalError))
except ImportError:  # pragma: no cover
    pass

__all__ = ["AWS", "TENCENT", "File", "Found", "OnProblem", "OnRead", "Part", "found", "parts", "records", "size"]

MAX_DOCUMENT: Final = 256 * 1024 * 1024  # bytes, unpacked: of one line, or of one document that cannot be cut
PART: Final = 512 * 1024  # bytes of a part, about; larger ones cost more, since their memory is fresh each time
_BLOCK: Final = 128 * 1024  # bytes read at once: damage to a gzip file costs what was read with it
_LARGE: Final = 4 * 1024 * 1024  # of a document, from which on it is worth cutting
_LARGEST_ITEM: Final = 8 * 1024 * 1024  # of an array that is cut
_TRIED: Final = 40  # places where an array might be cut

# In folders, files that are certainly no events; named on the command line, they are read all the same.
_OTHER_SUFFIXES: Final = frozenset(
    {".md", ".rst", ".yaml", ".yml", ".toml", ".ini", ".csv", ".html", ".pdf", ".py", ".sh", ".zip", ".png"}
)
_GZIP: Final = b"\x1f\x8b"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")

_SEAM: Final = re.compile(rb"\}(\s*,\s*)(?=\{)")
_NEXT_TEXT: Final = re.compile(rb"\}[ \t\r]*\n\s*(?=\{)")  # no comma and a line end: neither in a value nor in a string

OnRead = Callable[[int], None]  # so many more bytes of the files, as they are on disk, have been read; 0: it will wait


class Form(Enum):
    LINES = auto()
    DOCUMENT = auto()  # one JSON text or several, on any number of lines
    REMAINS = auto()  # lines of a document that was too large, and is no JSON
    TORN = auto()  # a line at which a damaged file ends


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a file that can be looked at by themselves. *line* is the one on which *text* begins, from 1."""

    name: str
    line: int
    text: bytes
    form: Form


@dataclass(frozen=True, slots=True)
class Stretch:
    """
    The lines that begin in the bytes from *start* to *end* of a plain file, not read yet.

    *whole*: a line begins at *start*; else that has to be seen. *line* is the number of the first; None if what stands
    before would have to be read to know: then the places of what is found are counted from 1 within this stretch.
    """

    path: str
    start: int
    end: int
    whole: bool
    line: int | None
    named: bool


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something in the files that is no record, and why."""

    place: str
    message: str


@dataclass(frozen=True, slots=True)
class File:
    """A whole file, to be opened by who looks at it. *named*: by the user, so that it must be readable."""

    path: str
    named: bool


Piece = Part | Trouble | File | Stretch


def records(paths: Iterable[str | Path], *, on_problem: OnProblem, on_read: OnRead | None = None) -> Iterator[Found]:
    """
    Each audit record in *paths* with the name of its kind, in order; folders are walked, sorted; "-" is standard input.

    A record's place is "file:line". *on_problem* is called with the place and a sentence for everything that is no
    record of a known kind. Raises OSError when a path that was named cannot be read; in a folder that is a problem.
    """
    for piece in parts(paths, on_read=on_read):
        yield from found(piece, on_problem)


def found(piece: Piece, on_problem: OnProblem) -> Iterator[Found]:
    """The records in *piece*, and its problems, in the order in which the file has them."""
    match piece:
        case Part(name, line, text, Form.LINES):
            yield from in_lines(text, name, line, on_problem, longest=MAX_DOCUMENT)
        case Part(name, line, text, Form.DOCUMENT):
            yield from in_document(text, name, line, on_problem)
        case Part(name, line, text, Form.REMAINS):
            yield from in_remains(text, name, line, on_problem)
        case Part(name, line, text, Form.TORN):
            yield from in_torn(text, name, line, on_problem)
        case Trouble(place, message):
            on_problem(place, message)
        case File(path, named):
            for inner in _of_file(path, named, _nobody):
                yield from found(inner, on_problem)
        case Stretch():
            for inner in _of_stretch(piece):
                yield from found(inner, on_problem)


def opened(piece: Stretch) -> tuple[list[Piece], int]:
    """*piece* read, and how many lines it has."""
    pieces: list[Piece] = []
    lines = 0
    for inner in _of_stretch(piece):
        pieces.append(inner)
        lines += _line_breaks(inner.text) if isinstance(inner, Part) else 1
    return pieces, lines


def parts(paths: Iterable[str | Path], *, on_read: OnRead | None = None, whole_below: int = 0) -> Iterator[Piece]:
    """
    *paths* in pieces, in order. With *whole_below*, some are not read yet: plain files of lines come in stretches, and
    files of fewer bytes than that are one piece each.

    Raises OSError, at once, when a path that was named is not there, and later when one cannot be read.
    """
    asked = [str(path) for path in paths]
    for path in asked:
        if path != "-":
            os.stat(path)  # noqa: PTH116 better now than after an hour
    tell = on_read or _nobody
    for path, named in _files(asked):
        if not named and not os.path.isfile(path):  # noqa: PTH113 a str
            links = os.path.islink(path)  # noqa: PTH114
            yield Trouble(path, "cannot be read: it links to nothing" if links else "is no regular file")
        elif path != "-" and 0 < (known := _size(path)) < whole_below:
            yield File(path, named)
            tell(known)
        else:
            yield from _of_file(path, named, tell, stretches=whole_below > 0)


def size(paths: Iterable[str | Path]) -> int | None:
    """How many bytes the files in *paths* have on disk; None if that cannot be known."""
    total = 0
    for path, named in _files([str(path) for path in paths]):
        if path == "-" or (named and not Path(path).is_file()):
            return None
        total += _size(path)
    return total


def _files(paths: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """The files in *paths*, and whether they were named or only stand in a folder that was."""
    for path in paths:
        if path != "-" and os.path.isdir(path):  # noqa: PTH112 a str may come in
            for file in _files_below(Path(path)):
                yield str(file), False
        else:
            yield path, True


def _files_below(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(here, name)
            if not name.startswith(".") and file.suffix.lower() not in _OTHER_SUFFIXES:
                yield file


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0  # it says so when it is opened


def _nobody(_bytes: int) -> None:
    """Nobody wants to know how far the reading has come."""


def _of_file(path: str, named: bool, on_read: OnRead, *, stretches: bool = False) -> Iterator[Piece]:
    if path == "-":
        if sys.stdin is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), "standard input")
        yield from _of_text(_Text("-", sys.stdin.buffer, on_read))
        return
    try:
        with Path(path).open("rb") as stream:
            text = _Text(path, stream, on_read)
            yield from _of_text(text, _Stretches(text, stream, named) if stretches and not text.packed else None)
    except OSError as error:
        if named:
            raise
        yield Trouble(path, f"cannot be read: {error.strerror or error}")


def _of_text(text: _Text, stretches: _Stretches | None = None) -> Iterator[Piece]:
    """The pieces of one file; of its lines, *stretches* if they are given."""
    while (first := text.first_line()) is None:  # too long to be read whole
        array = OPENING.match(text.ahead)
        if array is not None:
            yield from _of_array(text, array, one_line=True)
        else:
            yield Trouble(f"{text.name}:{text.line}", too_long(MAX_DOCUMENT))
            text.skip_line()
    if first[:2] in _UTF_16:
        yield Trouble(f"{text.name}:1", "is UTF-16; only UTF-8 is read")
        return
    if first[:1] not in (b"{", b"[") or text.cut_short or why_not_json(first) is None:
        yield from _of_lines(text) if stretches is None else stretches.pieces()
    else:
        yield from _of_document(text, first)
    if text.trouble:
        if text.ahead.strip():  # a delivered file is one line: it would be all that the damage left
            yield Part(text.name, text.line, text.take(len(text.ahead)), Form.TORN)
        yield Trouble(f"{text.name}:{text.line}", text.trouble)


def _of_lines(text: _Text) -> Iterator[Piece]:
    while True:
        line, lines = text.line, text.lines()
        if lines:
            yield Part(text.name, line, lines, Form.LINES)
        elif len(text.ahead) > MAX_DOCUMENT:
            yield Trouble(f"{text.name}:{line}", too_long(MAX_DOCUMENT))
            text.skip_line()
        else:
            return


class _Stretches:
    """A plain file of lines, in stretches."""

    def __init__(self, text: _Text, stream: BinaryIO, named: bool) -> None:
        self._text, self._stream, self._named = text, stream, named

    def pieces(self) -> Iterator[Piece]:
        text, line = self._text, self._text.line
        start = self._stream.tell() - len(text.ahead)
        status = os.fstat(self._stream.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size < start:
            yield from _of_lines(text)
            return
        text.ahead = b""
        for begin in range(start, status.st_size, PART):
            end = min(begin + PART, status.st_size)
            first = begin == start
            yield Stretch(text.name, begin, end, first, line if first else None, self._named)
            text.told(end)


def _of_stretch(piece: Stretch) -> Iterator[Part | Trouble]:
    try:
        with Path(piece.path).open("rb") as stream:
            text = _read_stretch(stream, piece)
    except OSError as error:
        if piece.named:
            raise
        yield Trouble(piece.path, f"cannot be read: {error.strerror or error}")
        return
    line = piece.line or 1
    if len(text) > MAX_DOCUMENT:  # its last line is too long
        end = text.rfind(b"\n", 0, piece.end - piece.start) + 1
        if end:
            yield Part(piece.path, line, text[:end], Form.LINES)
        line += text.count(b"\n", 0, end)
        yield Trouble(f"{piece.path}:{line}", too_long(MAX_DOCUMENT))
    elif text:
        yield Part(piece.path, line, text, Form.LINES)


def _read_stretch(stream: BinaryIO, piece: Stretch) -> bytes:
    """The lines that begin in *piece*, the last one to its end, or to a byte more than a line may have."""
    blocks: list[bytes] = []
    if piece.whole:
        stream.seek(piece.start)
        blocks.append(stream.read(piece.end - piece.start))
    else:
        stream.seek(piece.start - 1)
        blocks.append(stream.read(piece.end - piece.start + 1).partition(b"\n")[2])
    have = len(blocks[0])
    while blocks[-1] and not blocks[-1].endswith(b"\n") and have <= MAX_DOCUMENT:
        more = stream.read(_BLOCK)
        blocks.append(more[: end + 1] if (end := more.find(b"\n")) >= 0 else more)
        have += len(blocks[-1])
    return b"".join(blocks)


def _of_document(text: _Text, first: bytes) -> Iterator[Piece]:
    """A file whose first line is no JSON by itself: documents over many lines, or JSON lines that begin badly."""
    second = text.second_line()
    if second and not first.endswith((b"{", b"[", b",", b":")) and why_not_json(second) is None:
        yield from _of_lines(text)
        return
    text.fill(_LARGE)
    array = OPENING.match(text.ahead)
    if array is not None and len(text.ahead) >= _LARGE:
        yield from _of_array(text, array, one_line=False)
        return
    while len(text.ahead) >= _LARGE and (ends := [found.end() for found in _NEXT_TEXT.finditer(text.ahead)]):
        line = text.line
        yield Part(text.name, line, text.take(ends[-1]), Form.DOCUMENT)  # many texts, as jq prints them
        text.fill(_LARGE)
    text.fill(MAX_DOCUMENT)
    line, document = text.line, text.take(len(text.ahead))
    if not (text.trouble and not document.strip()):
        yield Part(text.name, line, document, Form.DOCUMENT)
    while text.fill(PART):
        line, lines = text.line, text.lines()
        yield Part(text.name, line, lines or text.take(len(text.ahead)), Form.REMAINS)


def _of_array(text: _Text, opening: re.Match[bytes], *, one_line: bool) -> Iterator[Piece]:
    """
    A large document, cut between the items of its array of events. With *one_line* it ends with its line.

    Where a cut is possible is guessed, and then proved: what comes before it is by itself an array. What comes after
    the last cut is put behind the document's beginning again, and is then a whole document.
    """
    line = text.line
    head = text.take(opening.end())
    beginning = head.replace(b"\r", b" ").replace(b"\n", b" ")  # JSON texts hold no raw line ends
    named = FIRST_NAME.match(text.ahead)
    first_name = named[1] if named else b'"'
    wanted = PART
    while text.fill(wanted + 1):
        if one_line and (end := text.ahead.find(b"\n")) >= 0:
            line = text.line
            yield Part(text.name, line, beginning + text.take(end + 1), Form.DOCUMENT)
            return
        if len(text.ahead) <= wanted:  # the end
            break
        cut = _cut(text.ahead, first_name)
        if cut is None:
            if wanted < _LARGEST_ITEM:
                wanted *= 2
                continue
            # Damaged: what is whole in it will be found where it is looked at. Go on behind it, if there is a behind.
            cut = _unproved_cut(text.ahead, first_name)
            if cut is None:
                text.fill(MAX_DOCUMENT)
                break
        wanted, line = PART, text.line
        items = text.take(cut[0])
        text.take(cut[1])
        yield Part(text.name, line, b"[" + items + b"]", Form.DOCUMENT)
    line = text.line
    yield Part(text.name, line, beginning + text.take(len(text.ahead)), Form.DOCUMENT)
    while text.fill(PART):
        line, lines = text.line, text.lines()
        yield Part(text.name, line, lines or text.take(len(text.ahead)), Form.REMAINS)


def _cut(ahead: bytes, first_name: bytes) -> tuple[int, int] | None:
    """How many bytes of *ahead* are whole items of an array, and how many then stand before the next item."""
    window = max(0, len(ahead) - 4 * _BLOCK)
    seams = list(_SEAM.finditer(ahead, window)) or list(_SEAM.finditer(ahead))
    # The next item begins with the same name as the first: nearly always, and nearly always this is no inner object.
    likely = [seam for seam in seams if ahead[seam.end() + 1 : seam.end() + 64].lstrip().startswith(first_name)]
    for seam in (likely[-_TRIED:] or seams[-_TRIED:])[::-1]:
        if is_array(b"[" + ahead[: seam.start() + 1] + b"]"):
            return seam.start() + 1, len(seam[1])
    for seam in (likely[-3:] or seams[-3:])[::-1]:  # what only the lenient decoder reads, such as NaN
        if why_not_json(b"[" + ahead[: seam.start() + 1] + b"]") is None:
            return seam.start() + 1, len(seam[1])
    return None


def _unproved_cut(ahead: bytes, first_name: bytes) -> tuple[int, int] | None:
    """As `_cut`, where nothing can be proved."""
    last = None
    for seam in _SEAM.finditer(ahead):
        if ahead[seam.end() + 1 : seam.end() + 64].lstrip().startswith(first_name):
            last = seam
    return None if last is None else (last.start() + 1, len(last[1]))


def _line_breaks(text: bytes) -> int:
    # CPython counts single characters one by one but replaces them by memchr: six times as fast where they are few.
    return len(text) - len(text.replace(b"\n", b""))


class _Text:
    """
    The bytes of one file, unpacked: what has been read *ahead*, and the *line* on which it begins, from 1.

    Damage to a gzip file ends the text where it is; *trouble* says so.
    """

    def __init__(self, name: str, stream: BinaryIO, on_read: OnRead) -> None:
        self.name = name
        self.line = 1
        self.ahead = b""
        self.trouble = ""
        self._ended = False
        self._on_read = on_read
        self._file = buffered = _buffered(stream)
        self._stream: io.BufferedReader | gzip.GzipFile = buffered
        if buffered.peek(2)[:2] == _GZIP:
            self._stream = _Gunzip(fileobj=buffered, mode="rb")
        self._told = 0
        self._given = 0  # bytes, unpacked
        self._prompt = name == "-" and not self.packed  # a pipe that somebody may be writing to right now
        self._read()
        self.ahead = without_bom(self.ahead)

    @property
    def packed(self) -> bool:
        return self._stream is not self._file

    @property
    def cut_short(self) -> bool:
        """Whether the first line is not whole, because the file is damaged there."""
        return bool(self.trouble) and b"\n" not in self.ahead

    def _block(self) -> bytes:
        if self._prompt:
            self._on_read(0)  # whoever shows what was found does so before this waits for more
        try:
            block = self._stream.read1(_BLOCK)
        except _DAMAGED as error:
            if self._again():
                return self._block()
            self.trouble = f"the gzip data is damaged or cut off: {error}"
            block = b""
        self._given += len(block)
        self._ended = not block
        self._tell(len(block))
        return block

    def _again(self) -> bool:
        """Whether the damaged file is now read by zlib: it gives all that stands before the damage, ISA-L not all."""
        if self._stream.__class__ is gzip.GzipFile or not self._file.seekable():
            return False
        self._file.seek(0)
        self._stream = gzip.GzipFile(fileobj=self._file, mode="rb")
        try:
            self._stream.seek(self._given)
        except _DAMAGED:
            return False
        return True

    def _tell(self, got: int) -> None:
        if self.packed:
            try:
                at = self._file.tell()
            except OSError:  # a pipe
                return
            got, self._told = at - self._told, max(at, self._told)
        if got > 0:
            self._on_read(got)

    def told(self, at: int) -> None:
        """Others read the file, and have come as far as *at*."""
        got, self._told = at - max(self._told, self._given), max(at, self._told)
        if got > 0:
            self._on_read(got)

    def _read(self) -> bool:
        """Read one block more. False at the end."""
        if not self._ended:
            self.ahead += self._block()
        return not self._ended

    def _more(self) -> None:
        """Read on: twice as far, so that a long line costs little; at least a byte, also when all was taken."""
        self.fill(len(self.ahead) + 1 if self._prompt else max(1, 2 * len(self.ahead)))

    def fill(self, wanted: int) -> bool:
        """Read ahead until there are *wanted* bytes, or the end. False when nothing is left."""
        blocks = [self.ahead]
        have = len(self.ahead)
        while have < wanted and not self._ended:
            block = self._block()
            blocks.append(block)
            have += len(block)
        if len(blocks) > 1:
            self.ahead = b"".join(blocks)
        return bool(self.ahead)

    def take(self, number: int) -> bytes:
        """The next *number* bytes, which have been read ahead."""
        taken, self.ahead = self.ahead[:number], self.ahead[number:]
        self.line += _line_breaks(taken)
        return taken

    def first_line(self) -> bytes | None:
        """The first line that holds something, stripped, still ahead; b"" if there is none, None if it is too long."""
        while True:
            begins = len(self.ahead) - len(self.ahead.lstrip())
            if begins and begins == len(self.ahead) > PART:
                self.take(begins)  # nothing but blank lines
                continue
            end = self.ahead.find(b"\n", begins)
            if end >= 0 or self._ended:
                return self.ahead[begins : end if end >= 0 else None].strip()
            if len(self.ahead) > _LARGE and OPENING.match(self.ahead):
                return None
            if len(self.ahead) > MAX_DOCUMENT:
                return None
            self._more()

    def second_line(self) -> bytes:
        """The line after the first that holds something, stripped, still ahead; b"" if there is none to speak of."""
        while True:
            rest = self.ahead.lstrip().partition(b"\n")[2].lstrip()
            second, end, _ = rest.partition(b"\n")
            if end or self._ended or len(self.ahead) > _LARGE:
                return second.strip()
            self._more()

    def lines(self) -> bytes:
        """About a part of whole lines, the last line of all included; b"" at the end, or if one line is too long."""
        if not self._prompt:
            self.fill(PART)
        elif not self.ahead:  # somebody may be waiting at the other end of the pipe: what has come is enough
            self._read()
        while (end := self.ahead.rfind(b"\n")) < 0 and not self._ended and len(self.ahead) <= MAX_DOCUMENT:
            self._more()
        if end >= 0:
            return self.take(end + 1)
        if self._ended and not self.trouble:
            return self.take(len(self.ahead))
        return b""

    def skip_line(self) -> None:
        while (end := self.ahead.find(b"\n")) < 0:
            self.ahead = b""
            if not self._read():
                return
        self.take(end + 1)


def _buffered(stream: BinaryIO) -> io.BufferedReader:
    return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", stream))

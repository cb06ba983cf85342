"""Assembled rows, which are no lines of a file: passages of documents, conversations of exported chats."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from app.core.document.document import DOCUMENTS
from app.core.document.paragraph import Account, DocumentError
from app.core.document.passage import Chunking, passages
from app.core.document.subtitle import subtitle_paragraphs
from app.core.language import tr
from app.core.quantity import plural
from app.core.source.exported_chat import BrokenChatError, ChatFile
from app.core.source.finding import NumberedRow, RowFault
from app.core.source.source import Source
from app.core.source.stream import FIELD_LIMIT_CHARACTERS, ByteCount, open_seekable, open_text
from app.core.transcript.conversation import Conversations, Transcript
from app.core.transcript.utterance import LeftOut


def lines_of(stream: TextIO) -> Iterator[str]:
    """The lines of a text, a very long one in parts."""
    while line := stream.readline(FIELD_LIMIT_CHARACTERS):
        yield line


def read_transcript(
    source: Source, transcript: Transcript, count: ByteCount, chunking: Chunking
) -> Iterator[NumberedRow]:
    """Conversations put together of messages; at the end what was read."""
    if not transcript.answers_by:
        yield 1, RowFault("no_speaker", transcript.question(source.reading.answers_by))
        return
    start, left_out = count.done, LeftOut()
    chat = ChatFile(source.path, transcript.program, source.compression, source.encoding)
    conversations, line = Conversations(transcript, chunking.length, left_out), 0
    try:
        for line, row in conversations.rows(chat.utterances(transcript.date_order, left_out, count)):
            yield line, row
    except BrokenChatError as error:
        for line, row in conversations.rest():
            yield line, row
        yield line + 1, RowFault("broken_json", error.reason)
    count.done = start + source.size
    yield line + 1, RowFault("contents", conversations.account())


def read_document(source: Source, count: ByteCount, chunking: Chunking) -> Iterator[NumberedRow]:
    """Passages of a document, numbered; at the end what was read of it."""
    account, number, start = Account(), 0, count.done
    form = DOCUMENTS[source.document]
    try:
        with _paragraphs_of(source, account) as paragraphs:
            for number, (_, part) in enumerate(passages((f"{text}\n\n" for text in paragraphs), chunking), 1):
                yield number, part
    except DocumentError as error:
        yield number + 1, RowFault(error.kind, error.reason)
        return
    finally:
        count.done = start + source.size
    if not number:
        yield 1, RowFault("empty_file", tr("{label} without any text.", label=form.label))
        return
    said = tr(
        "{label}, read as {passages} of at most {length:,} bytes.",
        label=form.label,
        passages=plural(number, "passage"),
        length=chunking.length,
    )
    yield number, RowFault("contents", " ".join([said, *account.said]))


@contextmanager
def _paragraphs_of(source: Source, account: Account) -> Iterator[Iterator[str]]:
    reader = DOCUMENTS[source.document].reader
    if reader is None:
        with open_text(source.path, source.compression, source.encoding, newline=None) as stream:
            account.tell(tr("Numbers, times and marks are left out."))
            yield subtitle_paragraphs(lines_of(stream))
    else:
        with open_seekable(source.path, source.compression) as file:
            yield reader(file, account)

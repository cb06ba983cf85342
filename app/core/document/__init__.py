"""Documents read as text, paragraph by paragraph: Word, PDF, EPUB, RTF, HTML, subtitles. Add a kind here."""

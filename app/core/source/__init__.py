"""Data files read row by row, whatever their format. Add a reader here."""

"""Transcripts for people: the story that a page, a diagram, a comparison and figures are made from."""

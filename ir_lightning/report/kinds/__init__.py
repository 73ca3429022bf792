"""Kinds of reports."""

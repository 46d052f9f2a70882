"""The version: the wheel, the provider and the user agent read it here."""

__version__ = "0.1.0"

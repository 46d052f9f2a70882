"""A stand-in for a midjourney-proxy-compatible describe service: no bill, words from pixels."""

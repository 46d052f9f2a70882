"""The steps of reading an answer text: fold its spellings, find its marks, divide it, clean each prompt.

Called by ``service/prompts.py`` alone; knows neither tasks nor dialects.
"""

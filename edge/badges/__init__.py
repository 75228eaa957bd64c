"""Badges of level L1: MIFARE Classic cards with keys of their own and a token written anew."""

"""Blind studies in the studio: what people say of pictures without knowing what made them."""

"""Trained runs for others: ONNX files, folders of weights with a model card, web pages and Spaces."""

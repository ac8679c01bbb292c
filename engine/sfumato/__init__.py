"""sfumato's engine: tensors, images and papers. Importing it is free; the parts are imported by name."""

__version__ = "0.1.0"

"""`unmask`: the mask of a frame is taken off by Autobahn's native part where there is one and the frame is long.

Autobahn makes three objects for each frame; its functions behind them are quicker than that, and for short frames a number
in Python is quicker still.
"""

from __future__ import annotations

import importlib
from typing import Any

from rtcd.signaling import frames

_BUFFER_BYTES = 65536
"""Longer data are unmasked in Python."""
_SAMPLE, _KEY = bytes(range(256)) * 3, b"\x01\x7f\x80\xff"
_SIZES = (*range(frames.LONG, frames.LONG + 20), len(_SAMPLE))
"""Lengths that are tried: what is behind the last whole word, of up to sixteen bytes, is done in another way."""


def native(library: Any, ffi: Any) -> frames.Unmask:
    """By the functions of ``_nvx_xormasker``. Raises whatever they do if they are others by now."""
    buffer = ffi.new("uint8_t[]", _BUFFER_BYTES)
    view = ffi.buffer(buffer)
    new, process, free = library.nvx_xormask_new, library.nvx_xormask_process, library.nvx_xormask_free

    def unmask(data: bytes, key: bytes) -> bytes:
        size = len(data)
        if size > _BUFFER_BYTES:
            return frames.unmask(data, key)
        masker = new(key)
        if not masker:  # no memory for it
            return frames.unmask(data, key)
        view[:size] = data
        process(masker, buffer, size)
        free(masker)
        unmasked: bytes = view[:size]
        return unmasked

    if any(unmask(_SAMPLE[:size], _KEY) != frames.unmask(_SAMPLE[:size], _KEY) for size in _SIZES):
        raise ValueError("it computes something else")
    return unmask


def choose() -> frames.Unmask:
    """The native one if it is there and does what it should, else the one in Python."""
    try:
        native_part: Any = importlib.import_module("_nvx_xormasker")
        return native(native_part.lib, native_part.ffi)
    except Exception:  # whatever is wrong with it, the other one is right
        return frames.unmask


unmask = choose()

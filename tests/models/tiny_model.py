"""A real model of 0.3 MB with random weights, written on the spot: a real engine, a real grammar, real counts, no sense at all.

Its tokens are the characters of ASCII, so that whatever it says is text; it has a chat template. The format is GGUF, version 3:
a head, key-value pairs, a list of tensors, then their bytes, each at a multiple of 32.
"""

import random
import struct
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WIDE, INNER, HEADS, LAYERS = 64, 128, 2, 1
UINT32, FLOAT32, STRING, ARRAY, INT32 = 4, 6, 8, 9, 5
ALIGNED = 32

TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)

NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6


def vocabulary() -> list[tuple[str, int]]:
    """Return the tokens with their kinds."""
    special = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)]
    bytes_ = [(f"<0x{code:02X}>", BYTE) for code in (9, 10, 13)]
    return [*special, *bytes_, ("\u2581", NORMAL), *((chr(code), NORMAL) for code in range(33, 127))]


def write_tiny_model(path: Path, *, seed: int = 1, window: int = 4096) -> Path:
    """Write the model; the same for the same seed."""
    dice = random.Random(seed)  # noqa: S311 - the same weights for the same seed
    tokens = vocabulary()
    tensors: dict[str, tuple[tuple[int, ...], float]] = {"token_embd.weight": ((WIDE, len(tokens)), 1.0)}
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        tensors |= {
            f"{block}.attn_norm.weight": ((WIDE,), 0.0),
            f"{block}.ffn_norm.weight": ((WIDE,), 0.0),
            **{f"{block}.attn_{part}.weight": ((WIDE, WIDE), 0.2) for part in ("q", "k", "v", "output")},
            f"{block}.ffn_gate.weight": ((WIDE, INNER), 0.2),
            f"{block}.ffn_up.weight": ((WIDE, INNER), 0.2),
            f"{block}.ffn_down.weight": ((INNER, WIDE), 0.2),
        }
    tensors |= {"output_norm.weight": ((WIDE,), 0.0), "output.weight": ((WIDE, len(tokens)), 0.2)}
    pairs: dict[str, tuple[int, Any]] = {
        "general.architecture": (STRING, "llama"),
        "general.name": (STRING, "tiny"),
        "llama.context_length": (UINT32, window),
        "llama.embedding_length": (UINT32, WIDE),
        "llama.block_count": (UINT32, LAYERS),
        "llama.feed_forward_length": (UINT32, INNER),
        "llama.attention.head_count": (UINT32, HEADS),
        "llama.attention.head_count_kv": (UINT32, HEADS),
        "llama.attention.layer_norm_rms_epsilon": (FLOAT32, 1e-5),
        "llama.rope.dimension_count": (UINT32, WIDE // HEADS),
        "llama.vocab_size": (UINT32, len(tokens)),
        "tokenizer.ggml.model": (STRING, "llama"),
        "tokenizer.ggml.tokens": (ARRAY, (STRING, [text for text, _ in tokens])),
        "tokenizer.ggml.scores": (ARRAY, (FLOAT32, [0.0] * len(tokens))),
        "tokenizer.ggml.token_type": (ARRAY, (INT32, [kind for _, kind in tokens])),
        "tokenizer.ggml.bos_token_id": (UINT32, 1),
        "tokenizer.ggml.eos_token_id": (UINT32, 2),
        "tokenizer.ggml.unknown_token_id": (UINT32, 0),
        "tokenizer.chat_template": (STRING, TEMPLATE),
    }
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs))
    head += b"".join(
        _text(key) + struct.pack("<I", kind) + _value(kind, value) for key, (kind, value) in pairs.items()
    )
    body = bytearray()
    for name, (shape, spread) in tensors.items():
        head += _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(body))
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        numbers: Sequence[float] = [dice.gauss(0, spread) if spread else 1.0 for _ in range(count)]
        body += array("f", numbers).tobytes()
        body += b"\0" * (-len(body) % ALIGNED)
    head += b"\0" * (-len(head) % ALIGNED)
    path.write_bytes(head + body)
    return path


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _value(kind: int, value: Any) -> bytes:
    match kind:
        case 4:
            return struct.pack("<I", value)
        case 5:
            return struct.pack("<i", value)
        case 6:
            return struct.pack("<f", value)
        case 8:
            return _text(value)
        case _:
            inner, entries = value
            return struct.pack("<IQ", inner, len(entries)) + b"".join(
                _value(inner, entry) for entry in entries
            )

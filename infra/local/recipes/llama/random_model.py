"""Writes a GGUF file with a model of random weights: it says nonsense, at the pace and by the protocol of a real one."""

import sys

import gguf
import numpy as np

WIDTH, LAYERS, HEADS, FEED_FORWARD, CONTEXT = 256, 4, 8, 1024, 32_768

words = [f"\u2581{start}{end}" for start in "bdfgklmnprstvz" for end in ("a", "e", "i", "o", "u", "an", "el", "or")]
tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
kinds += [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL] * len(words)

model = gguf.GGUFWriter(sys.argv[1], "llama")
model.add_name("nonsense")
model.add_context_length(CONTEXT)
model.add_embedding_length(WIDTH)
model.add_block_count(LAYERS)
model.add_feed_forward_length(FEED_FORWARD)
model.add_head_count(HEADS)
model.add_head_count_kv(HEADS)
model.add_rope_dimension_count(WIDTH // HEADS)
model.add_layer_norm_rms_eps(1e-5)
model.add_vocab_size(len(tokens))
model.add_tokenizer_model("llama")
model.add_token_list(tokens)
model.add_token_scores([0.0] * len(tokens))
model.add_token_types(kinds)
model.add_unk_token_id(0)
model.add_bos_token_id(1)
model.add_eos_token_id(2)
model.add_chat_template("{% for message in messages %}{{ message['content'] }}\n{% endfor %}")

random = np.random.default_rng(1)


def weights(name, *shape):
    model.add_tensor(name, (random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32))


weights("token_embd.weight", len(tokens), WIDTH)
weights("output.weight", len(tokens), WIDTH)
model.add_tensor("output_norm.weight", np.ones(WIDTH, dtype=np.float32))
for layer in range(LAYERS):
    for norm in ("attn_norm", "ffn_norm"):
        model.add_tensor(f"blk.{layer}.{norm}.weight", np.ones(WIDTH, dtype=np.float32))
    for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
        weights(f"blk.{layer}.{part}.weight", WIDTH, WIDTH)
    for part in ("ffn_gate", "ffn_up"):
        weights(f"blk.{layer}.{part}.weight", FEED_FORWARD, WIDTH)
    weights(f"blk.{layer}.ffn_down.weight", WIDTH, FEED_FORWARD)

model.write_header_to_file()
model.write_kv_data_to_file()
model.write_tensors_to_file()
model.close()

"""A diffusion model that takes no time and knows nothing: python tiny_diffusion.py FOLDER writes its folder.

Built as the embedded one is, words and all, on pixels; every weight is random, so prompts change what it answers.
"""

import json
import pathlib
import sys

MODEL_INDEX = {
    "_class_name": "Tiny",
    "transformer": ["diffusers", "PixArtTransformer2DModel"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
    "scheduler": ["diffusers", "DDIMScheduler"],
}


def build(folder, seed=0, licence="apache-2.0"):
    """Write the model; another seed, other weights."""
    import diffusers
    import torch
    import transformers

    from sfumato.models.training.captions import SLOTS, make_tokenizer

    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
        library.utils.logging.set_verbosity_error()
    folder, words = pathlib.Path(folder), make_tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = diffusers.PixArtTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=16,
            in_channels=3,
            out_channels=3,
            num_layers=2,
            cross_attention_dim=32,
            sample_size=32,
            patch_size=4,
            caption_channels=32,
            use_additional_conditions=False,
        )
        config = transformers.CLIPTextConfig(
            vocab_size=len(words),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=SLOTS,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        )
        encoder = transformers.CLIPTextModel(config)
        for weight in (*network.parameters(), *encoder.parameters()):
            weight.data += 0.05 * torch.randn_like(weight)
    network.save_pretrained(folder / "transformer")
    encoder.save_pretrained(folder / "text_encoder")
    words.save_pretrained(folder / "tokenizer")
    scheduler = diffusers.DDIMScheduler(
        beta_start=1e-4, beta_end=0.02, beta_schedule="linear", prediction_type="v_prediction", clip_sample=False
    )
    scheduler.save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(MODEL_INDEX))
    if licence:
        (folder / "README.md").write_text(f"---\nlicense: {licence}\n---\nFor tests.\n")
    return str(folder)


if __name__ == "__main__":
    build(sys.argv[1])

"""Makes `resources/starter`: text, tokenizer, model and data sets, all from the tables in `world.py`.

    python packaging/starter/build.py                 everything
    python packaging/starter/build.py --only data     the data sets again, with the model that is there

Nothing is downloaded. Everything is drawn from one seed: the same machine makes the same files again (another
processor rounds differently, so there the weights differ, not their quality). It prints its running time.
"""

from __future__ import annotations

import argparse
import ctypes.util
import json
import os
import random
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm import load

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from app.core.system.starter import as_song
from chat import World
from dataset import preference_rows, reward_rows, style_rows, write_splits
from measure import accuracy, pass_rates
from neutral import write_neutral
from tokenizer import END, PAD, ChatEncoder, save_tokenizer, train_tokenizer
from training import LEARNING, SETTLING, Plan, build_model, model_config, train

VOCABULARY_SIZE = 1280
TOKENIZER_CONVERSATIONS = 20_000
SIZE_LIMIT_MB = 5.0


def make_model(folder: Path, world: World, plans: Sequence[Plan], seed: int) -> None:
    """Tokenizer, configuration and weights, into `folder`.

    From the first step on the model learns to answer after any phrase, too: facts that stand in their sentence
    wherever it begins are not lost when a style puts words before it. Learnt afterwards, it came with a quarter of
    them lost.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(_tokenizer_texts(world, seed), VOCABULARY_SIZE)
    vocabulary = tokenizer.get_vocab()
    end, pad = vocabulary[END], vocabulary[PAD]
    config = model_config(tokenizer.get_vocab_size(), end, pad)
    save_tokenizer(tokenizer, folder, config["max_position_embeddings"])
    mx.random.seed(seed)
    model = build_model(config)
    print(f"{sum(value.size for _, value in tree_flatten(model.parameters())):,} parameters", flush=True)
    for number, plan in enumerate(plans, start=1):
        text = world.dressed_conversations(random.Random(seed + number))
        train(model, text, ChatEncoder(tokenizer, plan.asked_weight), plan)
    _write_json(folder / "config.json", config)
    _write_json(folder / "generation_config.json", {"eos_token_id": end, "pad_token_id": pad, "do_sample": False})
    weights = dict(tree_flatten(model.parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    shutil.copyfile(Path(__file__).with_name("model_card.md"), folder / "README.md")


def _tokenizer_texts(world: World, seed: int) -> list[str]:
    """Text of the world, and some of it as songs, so that the style has tokens of its own."""
    rng = random.Random(seed + 1)
    said = [m["content"] for _ in range(TOKENIZER_CONVERSATIONS) for m in world.conversation(rng)]
    return said + [as_song(text) for text in said[::40]]


def make_data(out: Path, world: World, seed: int) -> None:
    """The three data sets; the rows of `reward` are chosen by what the model gets right only sometimes."""
    model, tokenizer = load(str(out / "model"))
    write_splits(out / "data", style_rows(world, random.Random(seed + 2)))
    write_splits(out / "preference", preference_rows(world, random.Random(seed + 3)))
    rates = reward_rows(
        world,
        lambda turns: pass_rates(model, tokenizer, turns, samples=8, temperature=0.9, seed=seed),
        random.Random(seed + 4),
    )
    write_splits(out / "reward", rates)
    write_neutral(out, world, seed + 6)


def report(out: Path, world: World, seed: int) -> None:
    """Print what the base model gets right of the held-out questions, and the size of everything."""
    model, tokenizer = load(str(out / "model"))
    turns = [turn for turn in world.held_out if turn.topic != "story"]
    asked = random.Random(seed + 5).sample(turns, 400)
    share, wrong = accuracy(model, tokenizer, asked)
    print(f"held-out questions answered exactly right: {share:.1%} of {len(asked)}; wrong by topic: {dict(wrong)}")
    size_mb = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6
    print(f"size of {out.name}: {size_mb:.2f} MB")
    if size_mb > SIZE_LIMIT_MB:
        raise SystemExit(
            f"{out} has {size_mb:.2f} MB; at most {SIZE_LIMIT_MB} MB are allowed. Make the model smaller."
        )


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def use_openblas() -> None:
    """Start again with OpenBLAS where Linux has it: MLX's own matrix product on a CPU is 18 times slower.

    One BLAS thread: the products are so small that a second one only waits.
    """
    library = ctypes.util.find_library("openblas") if sys.platform == "linux" else None
    if library and "OPENBLAS_NUM_THREADS" not in os.environ:
        surroundings = {**os.environ, "LD_PRELOAD": library, "OPENBLAS_NUM_THREADS": "1"}
        os.execve(sys.executable, [sys.executable, *sys.argv], surroundings)


def main() -> None:
    """Read the arguments, make what they ask for, and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "resources" / "starter", help="folder to write into")
    parser.add_argument("--share", type=float, default=1.0, help="of the training steps: to try the recipe quickly")
    parser.add_argument(
        "--seed", type=int, default=7, help="seed of text, weights and samples (default: %(default)s)"
    )
    parser.add_argument("--only", choices=("model", "data"), help="make only this part")
    arguments = parser.parse_args()
    use_openblas()
    mx.set_default_device(mx.cpu)
    started = time.perf_counter()
    world = World()
    if arguments.only != "data":
        plans = [replace(plan, steps=round(plan.steps * arguments.share)) for plan in (LEARNING, SETTLING)]
        make_model(arguments.out / "model", world, plans, arguments.seed)
    if arguments.only != "model":
        make_data(arguments.out, world, arguments.seed)
    report(arguments.out, world, arguments.seed)
    print(f"done in {(time.perf_counter() - started) / 60:.1f} minutes")


if __name__ == "__main__":
    main()

"""Trains the setup that this bundle holds: with torch, transformers, PEFT and TRL, on one GPU, several, or a CPU.

    python train.py                                         one GPU (or what there is)
    accelerate launch --config_file fsdp2.yaml train.py     several GPUs
    python train.py --run DIR                               into DIR; begun before, the run there goes on

Nothing is decided here. ``recipe.json`` says every value; ``data`` holds the tokens and labels that Luthier made,
cut and masked, and the rows of every batch. What happens is written to ``run/events.jsonl`` in Luthier's own words,
the adapter to ``run/adapters`` in PEFT's form: copy ``run`` among Luthier's runs, or open it: ``luthier FOLDER``.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROTOCOL = 6  # of the events, as app/core/protocol of Luthier has it
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
IGNORED = -100
# Which of how many processes this is, as `accelerate launch` says it.
PROCESS, PROCESSES = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
RELAY = bool(os.environ.get("LUTHIER_RELAY"))  # the events are printed, too
# What TRL calls the figures that Luthier shows.
FIGURES = {
    "rewards/margins": "margin", "rewards/accuracies": "accuracy", "rewards/chosen": "chosen_reward",
    "rewards/rejected": "rejected_reward", "nll_loss": "likelihood_loss", "kl": "kl", "reward": "reward",
    "reward_std": "reward_spread", "frac_reward_zero_std": "equal_groups", "completions/clipped_ratio": "cut",
    "completions/mean_length": "answer_tokens",
}  # fmt: skip


# -- the bundle ---------------------------------------------------------------------------------------------------


def check_seal(folder):
    """Ends with a message if a file of the bundle is not as it was sealed."""
    for name, sealed in json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"].items():
        path = folder / name
        if not path.is_file():
            sys.exit(f"{name} is missing from the bundle: copy it again.")
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        if digest.hexdigest() != sealed["sha256"]:
            sys.exit(f"{name} was changed since the bundle was sealed: copy it again, or make a new bundle.")


def read_lines(path):
    """The JSON values of a file's lines; none if there is no file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def tokenized(path):
    """The rows of a file as a data set that is tokenized already: whoever would prepare it gets it as it is."""
    from datasets import Dataset

    class Rows(Dataset):
        def map(self, *_arguments, **_options):
            return self

    found = Dataset.from_json(str(path))
    return Rows(found.data, info=found.info)


class Batches:
    """The rows of every batch of the run, as Luthier draws them; of several processes each takes its share."""

    def __init__(self, order):
        self.order, self.process, self.processes = order, PROCESS, PROCESSES
        if any(len(numbers) < PROCESSES for numbers in order):
            few = min(map(len, order))
            sys.exit(f"A batch holds {few} rows, too few for {PROCESSES} processes: use fewer, or a larger batch.")

    def __len__(self):
        return len(self.order)

    def __iter__(self):
        for numbers in self.order:
            yield [int(number) for number in numbers[self.process :: self.processes]]


# -- events -------------------------------------------------------------------------------------------------------


class Events:
    """Says what happens, one JSON object a line, as a worker of Luthier does. Only the first process writes."""

    def __init__(self, folder):
        self.path = folder / "events.jsonl"

    def say(self, type_, /, **values):
        if PROCESS:
            return
        line = json.dumps({"type": type_, "time": time.time()} | values) + "\n"
        with self.path.open("ab") as file:
            at = file.tell()
            file.write(line.encode("ascii"))
        if RELAY:  # whoever has but the log puts the file together again: this line stands at that byte
            print(f"@luthier {at} {line}", end="", flush=True)
        if type_ == "train_reported":
            print(f"iteration {values['iteration']}: loss {values['train_loss']:.4f}", flush=True)
        elif type_ == "validated":
            print(f"iteration {values['iteration']}: validation loss {values['val_loss']:.4f}", flush=True)
        elif type_ in ("finished", "failed"):
            print(values.get("message") or type_, flush=True)


def hello(events):
    import torch

    names = ("torch", "transformers", "peft", "trl", "accelerate")
    versions = {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}
    device, memory = platform.processor() or platform.machine(), 0
    if torch.cuda.is_available():
        found = torch.cuda.get_device_properties(0)
        device, memory = found.name, found.total_memory
    events.say("hello", task="train", protocol=PROTOCOL, versions=versions, device=device, memory_gb=memory / 1e9)


# -- the model ----------------------------------------------------------------------------------------------------


def precision(recipe):
    """(dtype, bf16, fp16): the model's own, fp16 on GPUs without bfloat16 (T4), float32 on the CPU."""
    import torch

    if recipe["model"]["dtype"] == "float32" or not torch.cuda.is_available():
        return torch.float32, False, False
    if torch.cuda.is_bf16_supported(including_emulation=False) and recipe["model"]["dtype"] == "bfloat16":
        return torch.bfloat16, True, False
    return torch.float16, False, True


def load_model(recipe, place):
    """The base model, without any dropout of its own: Luthier has none either."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    told = recipe["model"]
    source = place or (str(HERE / told["folder"]) if told["folder"] else told["id"])
    revision = told["revision"] or None if source == told["id"] else None
    config = AutoConfig.from_pretrained(source, revision=revision)
    for name, value in list(vars(config).items()):
        if ("dropout" in name or "pdrop" in name) and isinstance(value, float):
            setattr(config, name, 0.0)
    dtype, _, _ = precision(recipe)
    more = {}
    if told["four_bit"]:
        more["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )  # fmt: skip
        more["device_map"] = {"": int(os.environ.get("LOCAL_RANK", "0"))}
    model = AutoModelForCausalLM.from_pretrained(source, revision=revision, config=config, dtype=dtype, **more)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def lora(recipe):
    """PEFT's form of the adapter: its factor is alpha ÷ rank."""
    from peft import LoraConfig

    told = recipe["adapter"]
    return LoraConfig(
        r=told["rank"],
        lora_alpha=told["alpha"],
        lora_dropout=told["dropout"],
        use_dora=told["use_dora"],
        target_modules=told["target_modules"],
        exclude_modules=told["exclude_modules"],
        layers_to_transform=told["layers_to_transform"],
        layers_pattern=told["layers_pattern"],
        fan_in_fan_out=told["fan_in_fan_out"],
        bias="none",
        task_type="CAUSAL_LM",
    )


def check_modules(model, recipe):
    """Ends with a message if PEFT adapted anything else than what Luthier's window shows."""
    adapted = (name for name, module in model.named_modules() if hasattr(module, "lora_A"))
    names = {name.partition("base_model.model.")[2] for name in adapted}
    if names != set(recipe["modules"]):
        sys.exit(f"Other modules are adapted than the setup says: {sorted(names ^ set(recipe['modules']))[:5]}.")


def load_start(model, folder):
    """Begins with the adapter that the bundle brings."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    set_peft_model_state_dict(model, load_file(folder / ADAPTER_FILES[1]))


# -- batches ------------------------------------------------------------------------------------------------------


def padded(rows, pad_token):
    """(input_ids, attention_mask, labels) of rows of unequal lengths."""
    import torch

    width = max(len(row["input_ids"]) for row in rows)
    ids = torch.full((len(rows), width), pad_token)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for at, row in enumerate(rows):
        length = len(row["input_ids"])
        ids[at, :length] = torch.tensor(row["input_ids"])
        labels[at, :length] = torch.tensor(row["labels"])
        mask[at, :length] = 1
    return ids, mask, labels


def collator(recipe, pad_token):
    """From rows to the arrays that TRL's trainer of the method reads."""
    method = recipe["method"]

    def collate(rows):
        import torch

        if method == "sft":
            ids, mask, labels = padded(rows, pad_token)
            return {"input_ids": ids, "attention_mask": mask, "labels": labels}
        if method == "kto":
            found = {"label": torch.tensor([bool(row["label"]) for row in rows])}
            for prefix, part in (("", rows), ("KL_", [row["mismatched"] for row in rows])):
                ids, mask, labels = padded(part, pad_token)
                counted = (labels != IGNORED).long()
                found |= {
                    f"{prefix}input_ids": ids, f"{prefix}attention_mask": mask, f"{prefix}completion_mask": counted,
                }  # fmt: skip
            return found
        ids, mask, labels = padded([row["chosen"] for row in rows] + [row["rejected"] for row in rows], pad_token)
        found = {"input_ids": ids, "attention_mask": mask}
        if method == "dpo":
            return found | {"completion_mask": (labels != IGNORED).long()}
        return found | {"labels": labels}

    return collate


# -- the optimizer ------------------------------------------------------------------------------------------------


def optimizer(recipe):
    """(class, arguments) with the rule that MLX's optimizer of this name has."""
    import torch
    from transformers.optimization import Adafactor

    class Decayed(torch.optim.Optimizer):
        """Decays each weight, then moves it by a rule over means that begin at zero; ``means`` are their names."""

        means = ()

        @torch.no_grad()
        def step(self, _closure=None):
            for group in self.param_groups:
                for weight in group["params"]:
                    if weight.grad is None:
                        continue
                    if not self.state[weight]:
                        self.state[weight].update({name: torch.zeros_like(weight) for name in self.means})
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    self.move(weight, weight.grad, self.state[weight], group)

    class Adam(Decayed):
        """Adam and AdamW without the correction of their bias, which torch's own cannot leave out."""

        means = ("m", "v")

        def __init__(self, params, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
            super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

        def move(self, weight, gradient, state, group):
            first, second = group["betas"]
            state["m"].mul_(first).add_(gradient, alpha=1 - first)
            state["v"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
            weight.addcdiv_(state["m"], state["v"].sqrt().add_(group["eps"]), value=-group["lr"])

    class Lion(Decayed):
        """Lion (arXiv 2302.06675): the sign of a mean of gradient and momentum."""

        means = ("m",)

        def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0):
            super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

        def move(self, weight, gradient, state, group):
            first, second = group["betas"]
            weight.add_((state["m"] * first + gradient * (1 - first)).sign_(), alpha=-group["lr"])
            state["m"].mul_(second).add_(gradient, alpha=1 - second)

    name, given = recipe["optimizer"]["name"], dict(recipe["optimizer"]["arguments"])
    rate = recipe["learning_rate"]
    if "betas" in given:
        given["betas"] = tuple(given["betas"])
    if name in ("adam", "adamw"):
        kind = torch.optim.AdamW if given.pop("bias_correction", False) else Adam
        return kind, {"lr": rate, "eps": 1e-8} | given
    if name == "adafactor":
        given["eps"] = tuple(given.get("eps", (1e-30, 1e-3)))
        if given.get("relative_step", True):
            rate = None
        return Adafactor, {"lr": rate} | given
    return {"sgd": torch.optim.SGD, "lion": Lion}[name], {"lr": rate} | given


# -- the trainer --------------------------------------------------------------------------------------------------


def trainer_class(recipe, name):
    """TRL's trainer, with Luthier's batches, and its way to weigh them: by tokens, pairs or answers, also across an
    accumulation."""
    import torch

    base, method = getattr(trl_module(name), name), recipe["method"]

    class Trainer(base):
        noted: list  # of each iteration: loss × weight, weight, tokens learned, tokens seen; this process's share

        def _prepare_dataset(self, dataset, *_arguments, **_options):
            return dataset

        def create_scheduler(self, num_training_steps, optimizer=None):
            rates = recipe["schedule"]["rates"]
            if rates and self.lr_scheduler is None:
                peak = recipe["learning_rate"]
                self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                    optimizer or self.optimizer, lambda step: rates[min(step, len(rates) - 1)] / peak
                )
                self._created_lr_scheduler = True
            return super().create_scheduler(num_training_steps, optimizer)

        def _note(self, loss, weight, tokens, seen):
            self.noted.append([float(loss.detach()) * float(weight), float(weight), float(tokens), float(seen)])

    if method == "grpo":

        class Grouped(Trainer):
            def _tokenize_prompts(self, prompts):
                return [self.rows[int(prompt)]["input_ids"] for prompt in prompts], None, {}

            def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
                loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
                counted = inputs["completion_mask"].sum()
                self._note(loss * self.current_gradient_accumulation_steps, 1, counted, counted)
                return loss

        return Grouped

    class Batched(Trainer):
        def get_train_dataloader(self):
            return torch.utils.data.DataLoader(
                self.train_dataset, batch_sampler=self.batches, collate_fn=self.data_collator,
                pin_memory=torch.cuda.is_available(),
            )  # fmt: skip

    if method == "sft":

        class Supervised(Batched):
            def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
                own = (inputs["labels"] != IGNORED).sum()
                seen = inputs["attention_mask"].sum()
                loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
                if model.training:
                    mean = loss * num_items_in_batch / own / self.accelerator.num_processes
                    self._note(mean, own, own, seen)
                return loss

        return Supervised

    class Preferred(Batched):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.loss_is_scaled_for_ga = True  # by `compute_loss`: an uneven batch weighs what it holds

        def _get_num_items_in_batch(self, batch_samples, device):
            count = torch.tensor(sum(map(rows_of, batch_samples)), device=device)
            return self.accelerator.gather(count).sum()

        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            counted = inputs.get("completion_mask", inputs.get("labels"))
            learned = (counted != IGNORED).sum() if "labels" in inputs else counted.sum()
            seen, rows = inputs["attention_mask"].sum(), rows_of(inputs)
            loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            if not model.training or num_items_in_batch is None:
                return loss
            self._note(loss, rows, learned, seen)
            return loss * rows * self.accelerator.num_processes / num_items_in_batch

        def concatenated_forward(self, model, batch):
            """Of ORPO and CPO: the likelihood is that of the answers' tokens, as in the papers and in Luthier."""
            logits = model(batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False).logits
            labels, half = batch["labels"], rows_of(batch)
            mean = method == "orpo" or recipe["loss"]["loss_type"] in ("ipo", "simpo")
            found = self.get_batch_logps(logits, labels, average_log_prob=mean)
            likelihood = torch.nn.functional.cross_entropy(
                logits[:half, :-1].reshape(-1, logits.shape[-1]).float(), labels[:half, 1:].reshape(-1),
                ignore_index=IGNORED,
            )  # fmt: skip
            return found[:half], found[half:], logits[:half], logits[half:], likelihood

    return Preferred


def trl_module(name):
    """Where TRL keeps a trainer and its config."""
    if name in ("ORPOTrainer", "CPOTrainer"):
        os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
        return importlib.import_module(f"trl.experimental.{name[:-7].lower()}")
    return importlib.import_module("trl")


def rows_of(inputs):
    """Pairs, or labelled answers, of a batch."""
    return len(inputs["label"]) if "label" in inputs else len(inputs["input_ids"]) // 2


def arguments_of(recipe, name, run):
    """TRL's config of the run. What is not named here has no say in it."""
    import torch

    module = trl_module(name)
    loss, accumulation = dict(recipe["loss"]), recipe["accumulation"]
    _, bf16, fp16 = precision(recipe)
    schedule = recipe["schedule"]
    shared = {
        "output_dir": str(run / "checkpoints"),
        "max_steps": math.ceil(recipe["iterations"] / accumulation),
        "per_device_train_batch_size": math.ceil(recipe["batch_size"] / PROCESSES),
        "gradient_accumulation_steps": accumulation,
        "learning_rate": recipe["learning_rate"],
        "lr_scheduler_type": "constant" if schedule["rates"] else schedule["name"],
        "warmup_steps": schedule["warmup_steps"],
        "weight_decay": recipe["optimizer"]["arguments"].get("weight_decay", 0.0),
        "max_grad_norm": recipe["max_grad_norm"],
        "seed": recipe["seed"],
        "bf16": bf16,
        "fp16": fp16,
        "use_cpu": not torch.cuda.is_available() and not torch.backends.mps.is_available(),
        "activation_checkpointing": recipe["activation_checkpointing"],
        "logging_strategy": "steps",
        "logging_steps": max(1, round(recipe["report_every"] / accumulation)),
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": max(1, round(recipe["save_every"] / accumulation)),
        "save_total_limit": 1,
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
    }
    if name == "SFTTrainer":
        return module.SFTConfig(
            **shared, max_length=recipe["max_length"], dataset_kwargs={"skip_prepare_dataset": True}
        )
    if name == "GRPOTrainer":
        group = loss.pop("group_size")
        updates = loss.pop("updates_per_generation")
        loss.pop("reward_functions")
        answers = recipe["batch_size"] * group
        if answers % PROCESSES:
            sys.exit(f"{answers} answers of a batch cannot be divided among {PROCESSES} processes: use fewer.")
        shared["per_device_train_batch_size"] = answers // PROCESSES
        return module.GRPOConfig(
            **shared, **loss, num_generations=group, num_iterations=updates, steps_per_generation=1,
            shuffle_dataset=False, disable_dropout=False, top_p=1.0, top_k=0, mask_truncated_completions=False,
        )  # fmt: skip
    shared["max_length"] = recipe["max_length"]
    shared["disable_dropout"] = False  # the base has none any more, and the adapter's is the setup's
    if name == "KTOTrainer":
        # TRL refuses batches of one, because it would mix answers within them; here the mixed ones come along.
        shared["per_device_train_batch_size"] = max(2, shared["per_device_train_batch_size"])
    if name == "DPOTrainer":
        loss["loss_type"] = [loss["loss_type"]]
    return getattr(module, name.replace("Trainer", "Config"))(**shared, **loss)


# -- rewards ------------------------------------------------------------------------------------------------------


def reward_functions(recipe, tokenizer, rows):
    """The chosen reward functions in TRL's form; the texts are what Luthier's own functions get."""
    rewards = module_of(HERE / "luthier_rewards.py", "luthier_rewards")
    known = dict(rewards.BUILT_IN)
    if (HERE / "own_rewards.py").is_file():
        # Where such files import the decorator from.
        within = ("", ".reward_functions", ".trainer", ".trainer.grpo_reward_functions")
        sys.modules |= {f"mlx_lm_lora{name}": rewards for name in within}
        own = module_of(HERE / "own_rewards.py", "own_rewards")
        wanted = {name: getattr(own, name) for name in recipe["loss"]["reward_functions"] if hasattr(own, name)}
        known |= wanted | rewards.REGISTERED
    ends = set(recipe["end_tokens"])

    def in_their_form(name):
        def score(prompts, completion_ids, **_others):
            asked = [rows[int(prompt)] for prompt in prompts]
            texts = [tokenizer.decode([one for one in ids if one not in ends]) for ids in completion_ids]
            questions, answers, types = ([row[key] for row in asked] for key in ("prompt", "answer", "type"))
            return [float(one) for one in known[name](questions, texts, answer=answers, types=types)]

        score.__name__ = name
        return score

    return [in_their_form(name) for name in recipe["loss"]["reward_functions"]]


def module_of(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# -- while it trains ----------------------------------------------------------------------------------------------


class Measuring:
    """The losses of the held-out rows, always the same ones."""

    def __init__(self, recipe, trainer, rows, order, functions):
        self.recipe, self.trainer, self.rows, self.order, self.functions = recipe, trainer, rows, order, functions

    def __call__(self):
        """(loss, figures); of GRPO the mean reward with its sign changed."""
        import torch

        trainer, model = self.trainer, self.trainer.model
        method, sums, count = self.recipe["method"], 0.0, 0
        model.eval()
        with torch.no_grad(), trainer.compute_loss_context_manager():
            for numbers in self.order:
                rows = [self.rows[int(number)] for number in numbers]
                if method == "grpo":  # as in Luthier, a group of answers to each prompt
                    earned = self._rewards(rows)
                    sums, count = sums - sum(earned), count + len(earned)
                    continue
                inputs = trainer._prepare_inputs(trainer.data_collator(rows))
                if method == "sft":
                    logits = trainer.model_wrapped(
                        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
                    ).logits
                    targets = inputs["labels"][:, 1:]
                    flat = logits[:, :-1].reshape(-1, logits.shape[-1]).float()
                    loss = torch.nn.functional.cross_entropy(
                        flat, targets.reshape(-1), ignore_index=IGNORED, reduction="sum"
                    )
                    sums, count = sums + float(loss), count + int((targets != IGNORED).sum())
                    continue
                if method in ("orpo", "cpo"):
                    loss, told = trainer.get_batch_loss_metrics(trainer.model_wrapped, inputs, train_eval="eval")
                    trainer.store_metrics(told, train_eval="eval")
                else:
                    loss = trainer.compute_loss(trainer.model_wrapped, inputs)
                sums, count = sums + float(loss) * rows_of(inputs), count + rows_of(inputs)
        model.train()
        return sums / max(count, 1), {"reward": -sums / max(count, 1)} if method == "grpo" else self._figures()

    def _figures(self):
        kept = getattr(self.trainer, "_metrics", None) or getattr(self.trainer, "_stored_metrics", {})
        found = {name.removeprefix("eval_"): values for name, values in kept.get("eval", {}).items()}
        figures = {FIGURES[k]: sum(v) / len(v) for k, v in found.items() if k in FIGURES and v}
        if "eval" in kept:
            kept["eval"].clear()
        return figures

    def _rewards(self, rows):
        import torch

        trainer, told = self.trainer, self.recipe["loss"]
        asked = [row for row in rows for _ in range(told["group_size"])]
        width = max(len(row["input_ids"]) for row in asked)
        ids = torch.full((len(asked), width), trainer.processing_class.pad_token_id)
        mask = torch.zeros_like(ids)
        for at, row in enumerate(asked):
            ids[at, width - len(row["input_ids"]) :] = torch.tensor(row["input_ids"])
            mask[at, width - len(row["input_ids"]) :] = 1
        device = trainer.model.device
        said = trainer.accelerator.unwrap_model(trainer.model_wrapped).generate(
            input_ids=ids.to(device), attention_mask=mask.to(device), generation_config=trainer.generation_config
        )[:, width:].tolist()  # fmt: skip
        ends = set(self.recipe["end_tokens"])
        answers = [one[: next((at for at, token in enumerate(one) if token in ends), len(one))] for one in said]
        prompts = [str(row["number"]) for row in asked]
        scores = [function(prompts, answers) for function in self.functions]
        weights = told["reward_weights"]
        return [sum(w * s for w, s in zip(weights, one, strict=True)) for one in zip(*scores, strict=True)]


def watching(recipe, run, events, measure, rows):
    """The callback that reports, measures, keeps the best weights and stops. Iterations are Luthier's: batches."""
    from transformers import TrainerCallback

    accumulation, last = recipe["accumulation"], recipe["iterations"]

    class Watching(TrainerCallback):
        def __init__(self):
            self.trainer, self.stopped, self.early = None, False, False
            self.best, self.best_at, self.best_loss, self.without = math.inf, None, None, 0
            self.losses, self.tokens, self.seen = (
                [],
                0,
                0,
            )  # since the last report, since the beginning, as the first
            self.elapsed, self.began, self.reported = 0.0, time.time(), (0, time.time())

        def iteration(self, state):
            return min(state.global_step * accumulation, last)

        def seconds(self):
            return self.elapsed + time.time() - self.began

        def on_train_begin(self, _args, state, _control, **_others):
            signal.signal(signal.SIGTERM, self.on_signal)
            signal.signal(signal.SIGINT, self.on_signal)
            at = self.iteration(state)
            self.reported = (at, time.time())
            model = self.trainer.accelerator.unwrap_model(self.trainer.model)
            trainable = sum(one.numel() for one in model.parameters() if one.requires_grad)
            frozen = sum(one.numel() for one in model.parameters() if not one.requires_grad)
            events.say(
                "started", iteration=at, iterations=last, iterations_per_epoch=rows["batches"],
                train_examples=rows["train"], valid_examples=rows["valid"], epoch_tokens=rows["tokens"],
                trainable_parameters=trainable, total_parameters=frozen,
                adapted_modules=len(recipe["modules"]), batch_size=recipe["batch_size"],
            )  # fmt: skip
            if at == 0 and measure is not None:
                self.validate(0)

        def on_signal(self, _number, _frame):
            self.stopped = True

        def on_step_end(self, _args, state, control, **_others):
            at, before = self.iteration(state), self.iteration_before(state)
            control.should_log = control.should_log or at == last
            every = recipe["evaluate_every"]
            if measure is not None and (at // every > before // every or at == last):
                self.validate(at)
                self.early = bool(recipe["patience"]) and self.without >= recipe["patience"] and at < last
            self.stopped = self.told_all(self.stopped)
            if self.stopped or self.early:
                control.should_training_stop = control.should_save = control.should_log = True
            return control

        def told_all(self, flag):
            """A signal may reach one process before another; all must stop at the same step."""
            if PROCESSES == 1:
                return flag
            import torch

            accelerator = self.trainer.accelerator
            return bool(accelerator.reduce(torch.tensor(float(flag), device=accelerator.device)) > 0)

        def collect(self):
            """Adds up what the processes noted since the last time."""
            import torch

            accelerator, noted = self.trainer.accelerator, self.trainer.noted
            if noted:
                sums = accelerator.reduce(torch.tensor(noted, device=accelerator.device)).tolist()
                self.losses += [total / max(weight, 1e-9) for total, weight, _, _ in sums]
                self.tokens += int(sum(one[2] for one in sums))
                self.seen += int(sum(one[3] for one in sums))
                self.trainer.noted = []

        def iteration_before(self, state):
            return min((state.global_step - 1) * accumulation, last)

        def on_log(self, _args, state, _control, logs=None, **_others):
            if "loss" not in (logs or {}):
                return
            self.collect()
            if not self.losses:
                return
            at, (before, since) = self.iteration(state), self.reported
            losses, seconds = self.losses, max(time.time() - since, 1e-9)
            norm = logs.get("grad_norm")
            events.say(
                "train_reported", iteration=at, train_loss=sum(losses) / len(losses), losses=losses,
                learning_rate=logs.get("learning_rate", recipe["learning_rate"]),
                iterations_per_second=(at - before) / seconds,
                tokens_per_second=self.seen / seconds, trained_tokens=self.tokens,
                epoch=at / rows["batches"], grad_norm=None if norm is None else float(norm),
                elapsed_s=self.seconds(), peak_memory_gb=peak_memory(),
                figures={FIGURES[k]: float(v) for k, v in logs.items() if k in FIGURES},
            )  # fmt: skip
            self.losses, self.seen = [], 0
            self.reported = (at, time.time())

        def validate(self, at):
            began = time.time()
            self.collect()
            loss, figures = measure()
            # The figure that tells which weights are best, the lower the better.
            judged = -figures[recipe["select_by"]] if recipe["select_by"] in figures else loss
            is_best = judged < self.best - recipe["min_delta"] or self.best_at is None
            self.without = 0 if is_best else self.without + 1
            if is_best:
                self.best, self.best_at, self.best_loss = judged, at, loss
                save_adapter(self.trainer, run / "adapters" / "best")
                events.say("checkpoint_saved", iteration=at, path="adapters/best", kind="best")
            events.say(
                "validated", iteration=at, val_loss=loss, val_time_s=time.time() - began, best=is_best,
                without_improvement=self.without, epoch=at / rows["batches"], trained_tokens=self.tokens,
                elapsed_s=self.seconds(), figures=figures,
            )  # fmt: skip

        def on_save(self, args, state, _control, **_others):
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            if self.trainer.is_world_process_zero():
                (folder / "luthier.json").write_text(json.dumps(self.kept()), encoding="utf-8")
            events.say("checkpoint_saved", iteration=self.iteration(state), path=str(folder.relative_to(run)))

        def kept(self):
            best = None if math.isinf(self.best) else self.best
            return {
                "best": best, "best_at": self.best_at, "best_loss": self.best_loss, "without": self.without,
                "elapsed": self.seconds(), "tokens": self.tokens,
            }  # fmt: skip

        def restore(self, folder):
            found = json.loads((folder / "luthier.json").read_text(encoding="utf-8"))
            self.best = math.inf if found["best"] is None else found["best"]
            self.best_at, self.best_loss, self.without = found["best_at"], found["best_loss"], found["without"]
            self.elapsed, self.tokens = found["elapsed"], found["tokens"]

    return Watching()


def peak_memory():
    import torch

    return torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else 0.0


def save_adapter(trainer, folder):
    """The adapter as it is now, in PEFT's form; under FSDP gathered from all processes."""
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped) if trainer.is_fsdp_enabled else None
    if trainer.is_world_process_zero():
        beside = folder.with_name(f".{folder.name}")
        shutil.rmtree(beside, ignore_errors=True)
        trainer.accelerator.unwrap_model(trainer.model_wrapped).save_pretrained(str(beside), state_dict=state)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ADAPTER_FILES:
            (beside / name).replace(folder / name)
        shutil.rmtree(beside)


def last_checkpoint(run):
    """The newest state that is complete; None if there is none."""
    found = [path for path in (run / "checkpoints").glob("checkpoint-*") if (path / "luthier.json").is_file()]
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


# -- the run ------------------------------------------------------------------------------------------------------


def make_trainer(recipe, run, place):
    """(trainer, measure): everything that the run needs, before its first iteration."""
    name = recipe["trainer"]
    model, tokenizer = load_model(recipe, place)
    arguments = arguments_of(recipe, name, run)
    data = HERE / "data"
    order, valid_order = read_lines(data / "order.jsonl"), read_lines(data / "valid_order.jsonl")
    kind = trainer_class(recipe, name)
    more = {"args": arguments, "processing_class": tokenizer, "peft_config": lora(recipe)}
    functions, valid = [], []
    if name == "GRPOTrainer":
        from datasets import Dataset

        # A prompt is the number of its row, behind which its tokens are found again; the held-out ones come last.
        train = read_lines(data / "train.jsonl")
        rows = train + read_lines(data / "valid.jsonl")
        functions = reward_functions(recipe, tokenizer, rows)
        asked = Dataset.from_list([{"prompt": str(number)} for numbers in order for number in numbers])
        trainer = kind(model, functions, train_dataset=asked, **more)
        trainer.rows = rows
        valid = [row | {"number": at} for at, row in enumerate(rows[len(train) :], len(train))]
        trainer.eos_token_ids = recipe["end_tokens"]
        trainer.generation_config.eos_token_id = recipe["end_tokens"]
    else:
        collate = collator(recipe, tokenizer.pad_token_id)
        trainer = kind(model, train_dataset=tokenized(data / "train.jsonl"), data_collator=collate, **more)
        trainer.batches = Batches(order)
        if valid_order:
            valid = tokenized(data / "valid.jsonl")
    trainer.optimizer_cls_and_kwargs = optimizer(recipe)
    trainer.noted = []
    check_modules(trainer.model, recipe)
    if recipe["has_start"]:
        load_start(trainer.model, HERE / "start")
    measure = Measuring(recipe, trainer, valid, valid_order, functions) if valid_order else None
    return trainer, measure


def train(recipe, run, place, events):
    events.say("progressed", phase="Loading the model")
    trainer, measure = make_trainer(recipe, run, place)
    watch = watching(recipe, run, events, measure, recipe["data"])
    watch.trainer = trainer
    trainer.add_callback(watch)
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    checkpoint = last_checkpoint(run)
    if checkpoint is not None:
        watch.restore(checkpoint)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    adapters, best = run / "adapters", run / "adapters" / "best"
    if recipe["keep_best"] and watch.best_at is not None:
        if trainer.is_world_process_zero():
            for name in ADAPTER_FILES:
                shutil.copyfile(best / name, adapters / name)
    else:
        save_adapter(trainer, adapters)
    at = watch.iteration(trainer.state)
    events.say("checkpoint_saved", iteration=at, path="adapters", kind="final")
    reason = "early_stopping" if watch.early else "completed"
    if watch.stopped and at < recipe["iterations"]:
        reason = "stopped"
    events.say(
        "finished", reason=reason, iteration=at, elapsed_s=watch.seconds(), best_iteration=watch.best_at,
        best_val_loss=watch.best_loss, message=f"The adapter is in {adapters}.",
    )  # fmt: skip


def main(given=None):
    asked = argparse.ArgumentParser(description="Trains the setup of this bundle.")
    asked.add_argument(
        "--run", type=Path, default=HERE / "run", help="the folder of the run; begun before, it goes on"
    )
    asked.add_argument("--model", default="", help="a folder with the base model, instead of what the recipe names")
    options = asked.parse_args(given)
    if "LOCAL_RANK" not in os.environ and "torch" not in sys.modules:
        # One process trains on one GPU: with more in sight, transformers would divide batches behind our back.
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
        os.environ["CUDA_VISIBLE_DEVICES"] = seen.partition(",")[0]
    check_seal(HERE)
    recipe = json.loads((HERE / "recipe.json").read_text(encoding="utf-8"))
    run = options.run.resolve()
    if PROCESS == 0:
        run.mkdir(parents=True, exist_ok=True)
        for name in ("config.yaml", "setup.yaml"):
            if not (run / name).exists():
                shutil.copyfile(HERE / name, run / name)
    events = Events(run)
    hello(events)
    try:
        train(recipe, run, options.model, events)
    except (Exception, SystemExit) as error:
        if not isinstance(error, SystemExit):
            traceback.print_exc()
        elif not error.code:
            raise
        hint = "Run train.py again: it goes on from its last checkpoint." if last_checkpoint(run) else ""
        events.say("failed", message=f"{error}" or type(error).__name__, hint=hint)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The shared config: every value a run is made of, declared once with default, range, unit, label and help.

On disk it is YAML with mlx-lm's own keys (``mlx_lm.lora -c`` reads it) and Luthier's extras beside them. The
models are frozen: an edit makes a new config (`TrainConfig.with_value`), so a bad value never half-lands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel

from app.core.config.field import FieldSpec as FieldSpec
from app.core.config.field import Part as _Part
from app.core.config.field import field as _field
from app.core.config.part import EarlyStopping, JudgeConfig
from app.core.language import tr
from app.core.method.table import MODES

CONFIG_VERSION = 1

FineTuneType = Literal["lora", "dora", "full"]
Optimizer = Literal["adam", "adamw", "muon", "sgd", "adafactor", "lion"]
Schedule = Literal["constant", "linear", "cosine", "custom"]
Batching = Literal["bucket", "pack", "file_order"]
PairLoss = Literal["sigmoid", "hinge", "ipo", "simpo"]
GroupLossType = Literal["grpo", "bnpo", "dr_grpo", "dapo"]
if TYPE_CHECKING:
    TrainMode = str
else:
    TrainMode = Literal[tuple(MODES)]  # the table of methods is the only place that lists them


# The optimizers that have a bias to correct.
WITH_CORRECTION = ("adam", "adamw")
# As transformers' trainer has it. mlx's own Adafactor goes by steps of its own and hears of no learning rate.
ADAFACTOR_BY_RATE = {"relative_step": False, "scale_parameter": False}
# What a new setup begins with, everywhere: the window, the command line, a bundle and what trains it elsewhere.
# PEFT's alpha stands in the file as the scale, alpha ÷ rank.
DEFAULT_TARGETS, DEFAULT_RANK, DEFAULT_ALPHA = "full", 32, 32.0


class LoraParameters(_Part):
    """The adapter's shape, as mlx-lm's ``lora_parameters``."""

    rank: int = _field(
        DEFAULT_RANK,
        tr("LoRA rank"),
        tr("Width of the low-rank update of each matrix"),
        higher=tr("more capacity, memory and file size"),
        lower=tr("smaller, less able to learn new facts"),
        recommended=tr("32 for full-layer training"),
        ge=1,
        le=512,
    )
    scale: float = _field(
        DEFAULT_ALPHA / DEFAULT_RANK,
        tr("LoRA scale"),
        tr("Strength of the adapter: its output is multiplied by alpha ÷ rank, which mlx-lm calls the scale"),
        higher=tr("each step moves the model more; raise it only with a lower learning rate"),
        lower=tr("gentler steps"),
        recommended=tr("alpha 32, whatever the rank"),
        gt=0,
        le=10_000,
    )
    dropout: float = _field(
        0.0,
        tr("LoRA dropout"),
        tr("Share of adapter inputs zeroed at random while training"),
        higher=tr("less overfitting on small data, slower learning"),
        lower=tr("stable training"),
        recommended="0.0",
        ge=0,
        lt=1,
    )
    keys: tuple[str, ...] | None = _field(
        None,
        tr("Target keys"),
        tr("The exact module keys mlx-lm adapts; filled from the targets when the run starts"),
    )


class TrainConfig(_Part):
    """One supervised fine-tuning run. Keys that mlx-lm knows have mlx-lm's names and meaning.

    Unknown keys are kept (``model_extra``) and written back; `unknown_keys` lists them.
    """

    # -- model and data ---------------------------------------------------------------------------------------
    model: str = _field(
        "", tr("Model"), tr("A model folder, or the name of a cached Hugging Face model"), kind="path"
    )
    data: str = _field(
        "", tr("Training data"), tr("A file of examples, or a folder with train, valid and test files"), kind="path"
    )
    valid_data: str = _field(
        "", tr("Validation data"), tr("Examples the model is measured on and never trained on"), kind="path"
    )
    test_data: str = _field("", tr("Test data"), tr("Examples kept for the comparison afterwards"), kind="path")
    valid_fraction: float = _field(
        0.1,
        tr("Validation share"),
        tr("Share of the examples set aside for validation when no validation data is given"),
        higher=tr("steadier validation loss, fewer examples to learn from"),
        recommended="0.1",
        ge=0,
        le=0.5,
    )
    test_fraction: float = _field(
        0.1,
        tr("Test share"),
        tr("Share of the examples set aside for the comparison afterwards, when no test data is given"),
        recommended="0.1",
        ge=0,
        le=0.5,
    )
    group_feature: str = _field(
        "", tr("Group by"), tr("Rows with the same value in this column stay on the same side of the split")
    )
    skip_bad_answers: bool = _field(
        False,
        tr("Leave out bad answers"),
        tr("Of answers that are labelled good or bad, supervised fine-tuning learns the good ones alone"),
    )
    skip_bad_rows: bool = _field(
        False,
        tr("Leave out bad rows"),
        tr("Train without the rows that have errors; the file itself is never changed"),
    )
    data_format: Literal["auto", "chat", "completion", "text"] = _field(
        "auto",
        tr("Format"),
        tr("How rows are read; auto detects it from their content"),
        choices={
            "auto": tr("Detect"),
            "chat": tr("Chat"),
            "completion": tr("Prompt and answer"),
            "text": tr("Text"),
        },
    )
    prompt_feature: str = _field("prompt", tr("Prompt column"), tr("Column that holds the prompt"))
    completion_feature: str = _field("completion", tr("Answer column"), tr("Column that holds the answer"))
    chat_feature: str = _field("messages", tr("Chat column"), tr("Column that holds the list of messages"))
    text_feature: str = _field("text", tr("Text column"), tr("Column that holds the text"))
    system_feature: str = _field("", tr("System column"), tr("Column that holds the system prompt, if any"))
    sheet: str = _field(
        "", tr("Sheet"), tr("Sheet of a workbook that is read; if none is named, the first that holds anything")
    )
    encoding: str = _field(
        "",
        tr("Encoding"),
        tr("How the bytes of texts stand for characters; if none is named, what they hold tells it"),
    )
    answers_by: str = _field(
        "",
        tr("Answers by"),
        tr("Whose words are the answers, of a chat that a program has exported; the others ask"),
    )
    mask_prompt: bool = _field(
        False,
        tr("Train on answers only"),
        tr("Leave the prompt out of the loss, so that only the answers are learned (mlx-lm: mask_prompt)"),
        recommended=tr("on for chat and prompt/answer data"),
    )
    mask_turns: Literal["all", "last"] = _field(
        "last",
        tr("Answers trained"),
        tr("Which assistant turns count when the prompt is masked; mlx-lm trains the last"),
        choices={"last": tr("The last answer"), "all": tr("Every answer")},
    )
    template_date: str = _field(
        "",
        tr("Date in the template"),
        tr("The day, as year-month-day, that a chat template with a date writes; today's when the run starts"),
        pattern=r"^(\d{4}-\d{2}-\d{2})?$",
    )

    # -- training ---------------------------------------------------------------------------------------------
    train: bool = _field(True, tr("Train"), tr("Present so that mlx_lm.lora -c trains"), kind="bool")
    fine_tune_type: FineTuneType = _field(
        "lora",
        tr("Type"),
        tr("LoRA adds small matrices; DoRA adds a magnitude too; full changes the model's own weights"),
        recommended="LoRA",
        choices={"lora": "LoRA", "dora": "DoRA", "full": tr("Full fine-tune")},
    )
    learning_rate: float = _field(
        1e-4,
        tr("Learning rate"),
        tr(
            "Size of each optimizer step. With bias correction Adam's first steps are no larger than "
            "it: a short run learns less than with plain Adam (the starter, 120 iterations: "
            "validation loss 0.12 against 0.02)"
        ),
        higher=tr("learns faster, may diverge"),
        lower=tr("slower, steadier"),
        recommended=tr("1e-4 for full-layer LoRA, 1e-5 for full fine-tuning"),
        gt=0,
        le=1e6,
    )
    batch_size: int = _field(
        1,
        tr("Batch size"),
        tr("Examples of one iteration; batched by length, at most 1,024 tokens of them are computed at a time"),
        unit=tr("examples"),
        higher=tr("smoother steps, more memory"),
        lower=tr("less memory"),
        recommended=tr("1 to 8"),
        ge=1,
        le=64,
    )
    grad_accumulation_steps: int = _field(
        1,
        tr("Gradient accumulation"),
        tr("Batches whose gradients are added before one optimizer step"),
        unit=tr("batches"),
        higher=tr("the effect of a larger batch without its memory"),
        recommended="1",
        ge=1,
        le=1024,
    )
    max_seq_length: int = _field(
        1024,
        tr("Maximum length"),
        tr("Longest example in tokens; what is longer is cut"),
        unit=tr("tokens"),
        higher=tr("nothing is lost, more memory"),
        lower=tr("less memory, long answers are cut"),
        recommended="1,024",
        ge=8,
        le=1_048_576,
    )
    iters: int = _field(
        1000,
        tr("Iterations"),
        tr("Batches to train on"),
        unit=tr("iterations"),
        higher=tr("trains longer; may overfit"),
        recommended=tr("3 epochs of the data"),
        ge=1,
        le=100_000_000,
    )
    epochs: float | None = _field(
        3.0,
        tr("Epochs"),
        tr("Passes over the training data; sets the iterations when the run starts"),
        unit=tr("epochs"),
        higher=tr("trains longer; may overfit"),
        recommended="3",
        gt=0,
        le=10_000,
    )
    optimizer: Optimizer = _field(
        "adam",
        tr("Optimizer"),
        tr("The rule that turns gradients into steps"),
        recommended=tr("Adam"),
        choices={
            "adam": tr("Adam"), "adamw": "AdamW", "muon": tr("Muon"), "sgd": "SGD", "adafactor": tr("Adafactor"),
            "lion": tr("Lion"),
        },
    )  # fmt: skip
    bias_correction: bool = _field(
        True,
        tr("Bias correction"),
        tr(
            "Adam's and AdamW's first steps are as large as the learning rate says. Without it, as "
            "in mlx-lm where a file does not ask for it, some hundred steps are 3 to 6 times too "
            "large; a warm-up tempers them. With it a short run learns less at the same rate"
        ),
        recommended="on",
    )
    optimizer_config: dict[str, dict[str, Any]] = _field(
        {}, tr("Optimizer settings"), tr("Arguments by optimizer name")
    )
    weight_decay: float = _field(
        0.0,
        tr("Weight decay"),
        tr("Pull of the trained weights towards zero (AdamW, Muon, SGD, Lion, Adafactor)"),
        higher=tr("more regular, may underfit"),
        recommended=tr("0 for LoRA"),
        ge=0,
        le=10,
    )
    max_grad_norm: float = _field(
        0.0,
        tr("Gradient clipping"),
        tr("Largest norm of the gradient; 0 is off"),
        lower=tr("fewer jumps, slower learning"),
        recommended=tr("1.0 if the loss jumps"),
        ge=0,
        le=1e6,
    )
    schedule: Schedule = _field(
        "constant",
        tr("Learning-rate schedule"),
        tr("How the learning rate changes over the run"),
        recommended=tr("constant, or cosine for long runs"),
        choices={"constant": tr("Constant"), "linear": tr("Linear to zero"), "cosine": tr("Cosine to zero"),
                 "custom": tr("As in the file (lr_schedule)")},
    )  # fmt: skip
    warmup: float = _field(
        0.0,
        "Warm-up",
        tr(
            "Iterations over which the learning rate rises from zero; below 1 it is a share of the "
            "run. Adam with bias correction needs it less: its first steps are smaller already"
        ),
        unit=tr("iterations"),
        higher=tr("a gentler start"),
        recommended=tr("0, or 0.05 for long runs"),
        ge=0,
        le=1_000_000,
    )
    lr_schedule: dict[str, Any] | None = _field(
        None, "lr_schedule", tr("mlx-lm's own form of the schedule; used as it is when the schedule is 'custom'")
    )
    seed: int = _field(0, tr("Seed"), tr("Start of every random choice: same seed, same run"), ge=0, le=2**32 - 1)
    grad_checkpoint: bool = _field(
        False,
        tr("Gradient checkpointing"),
        tr("Recompute activations instead of keeping them: about a third of the memory, 1.6 × the time"),
    )
    checkpoint_layers: int = _field(
        0,
        tr("Recomputed layers"),
        tr(
            "How many layers gradient checkpointing recomputes, from the lowest that is trained; 0: all. "
            "The others keep what they computed"
        ),
        unit=tr("layers"),
        higher=tr("less memory, more time"),
        lower=tr("faster, until it no longer fits"),
        recommended=tr("0, or what the memory card offers when a run does not fit"),
        ge=0,
        le=1_000,
    )
    batching: Batching = _field(
        "bucket",
        tr("Batches"),
        tr(
            "How a batch is computed: in parts of like length (little padding, little memory), "
            "packed end to end, or as in the file"
        ),
        choices={"bucket": tr("By length"), "pack": tr("Packed"), "file_order": tr("In file order (as mlx-lm)")},
    )

    # -- measuring and saving ---------------------------------------------------------------------------------
    steps_per_report: int = _field(
        25,
        tr("Report every"),
        tr("Iterations between reports"),
        unit=tr("iterations"),
        recommended="25",
        ge=1,
        le=1_000_000,
    )
    steps_per_eval: int = _field(
        200,
        tr("Evaluate every"),
        tr("Iterations between validations; a new setup has 10 to 20 of them in its run"),
        unit=tr("iterations"),
        recommended=tr("10 to 20 in a run"),
        lower=tr("a finer curve and earlier stopping, more time spent measuring"),
        ge=1,
        le=10_000_000,
    )
    save_every: int = _field(
        100, tr("Save every"), tr("Iterations between checkpoints; a new setup has 10 to 20 of them in its run"),
        unit=tr("iterations"), recommended=tr("10 to 20 in a run"), ge=1, le=10_000_000,
    )  # fmt: skip
    val_batches: int = _field(
        25, tr("Validation batches"), tr("Batches of each validation, always the same ones; −1 is all of them"),
        unit=tr("batches"), higher=tr("steadier, slower"), recommended="25", ge=-1, le=1_000_000,
    )  # fmt: skip
    neutral_tokens: int = _field(
        512,
        tr("Neutral tokens"),
        tr(
            "Tokens of text that has nothing to do with the data, on which each evaluation measures "
            "what is forgotten; the base model says them itself before the training begins (the "
            "starter has a text of its own). 0 is off"
        ),
        unit=tr("tokens"),
        higher=tr("steadier, a little slower"),
        lower=tr("faster, rougher"),
        recommended="512",
        ge=0,
        le=16_384,
    )
    sampled_prompts: int = _field(
        0,
        tr("Sampled answers"),
        tr(
            "Held-out prompts that are answered at each evaluation, up to 64 tokens each: one can "
            "read what the losses come to. It takes time of the run. 0 is off"
        ),
        unit=tr("prompts"),
        higher=tr("more to read, slower evaluations"),
        recommended=tr("0, or 2"),
        ge=0,
        le=16,
    )
    early_stopping: EarlyStopping = _field(EarlyStopping, tr("Early stopping"))
    final_adapter: Literal["best", "last", "balanced"] = _field(
        "best",
        tr("Adapter kept"),
        tr(
            "Which weights adapters.safetensors holds at the end: the best by validation loss, the "
            "last, or the checkpoint and strength that forgot the least for what they learned"
        ),
        recommended="best",
        choices={"best": tr("The best"), "last": tr("The last"), "balanced": tr("The best balance")},
    )
    adapter_name: str = _field(
        "mlx_finetune", tr("Adapter name"), tr("Name of the run and its folder"), min_length=1, max_length=80
    )
    report_to: str = _field(
        "",
        tr("Report to"),
        tr("Programs that are given the run's figures while it trains: tensorboard, wandb, trackio, with commas"),
        recommended=tr("nothing; Luthier keeps every figure itself"),
        max_length=200,
    )
    project_name: str = _field(
        "", tr("Project"), tr("What wandb and trackio file the run under; empty is luthier"), max_length=200
    )
    adapter_path: str = _field(
        "", tr("Adapter folder"), tr("Where the adapter is written; set when the run starts"), kind="path"
    )
    resume_adapter_file: str | None = _field(
        None, tr("Start from adapter"), tr("An adapters.safetensors whose weights the run starts from"), kind="path"
    )

    # -- adapter ----------------------------------------------------------------------------------------------
    num_layers: int = _field(
        -1,
        tr("Layer coverage"),
        tr("Layers trained, counted from the top; −1 is all"),
        higher=tr("more of the model can change"),
        lower=tr("less memory and time"),
        recommended="all",
        ge=-1,
        le=100_000,
    )
    targets: str = _field(
        DEFAULT_TARGETS,
        tr("Targets"),
        tr(
            "A preset (full, attention, mlp, minimal, linear), patterns separated by commas, or "
            "'keys' for the exact lora_parameters.keys"
        ),
        min_length=1,
        max_length=1_000_000,
    )
    lora_parameters: LoraParameters = _field(LoraParameters, tr("LoRA parameters"))
    adapter_dtype: Literal["base", "float32"] = _field(
        "base",
        tr("Adapter precision"),
        tr("What a 16-bit model's LoRA is multiplied in; its weights and the optimizer's are float32 either way"),
        recommended=tr("as the model; float32 is mlx-lm's own, with a fifth more memory for activations"),
        choices={"base": tr("As the model"), "float32": tr("float32 (as mlx-lm)")},
    )

    # -- method: preference and reward training, with mlx-lm-lora's keys --------------------------------------
    train_mode: TrainMode = _field(
        "sft",
        tr("Method"),
        tr("What training optimizes: examples, preferences between answers, or rewards of sampled answers"),
        choices=MODES,
    )
    beta: float = _field(
        0.1,
        tr("Beta"),
        tr(
            "Strength of the tie to the reference model (DPO, Online DPO, KTO, GRPO), of the "
            "preference (CPO, SimPO), or of the odds ratio beside the likelihood (ORPO)"
        ),
        higher=tr("stays nearer to the reference"),
        lower=tr("moves further from it"),
        recommended=tr("0.1 for pairs, 2 for SimPO; 0.04 for GRPO and GSPO (TRL: 0); 0 for DAPO and Dr. GRPO"),
        ge=0,
        le=100,
    )
    dpo_cpo_loss_type: PairLoss = _field(
        "sigmoid",
        tr("Pair loss"),
        tr("How the margin between the chosen and the rejected answer becomes a loss"),
        recommended="sigmoid",
        choices={"sigmoid": tr("Sigmoid"), "hinge": tr("Hinge"), "ipo": "IPO", "simpo": tr("SimPO (with CPO)")},
    )
    simpo_gamma: float = _field(
        0.5, tr("Target margin"), tr("SimPO's gamma: by how much likelier the chosen answer should be"),
        higher=tr("pushes the answers further apart"), recommended=tr("0.5 to 1.5"), ge=0, le=100,
    )  # fmt: skip
    cpo_alpha: float = _field(
        1.0, tr("Likelihood weight"), tr("Weight of the chosen answers' own likelihood in CPO and SimPO"),
        higher=tr("also learns to say the chosen answers"), lower=tr("learns the preference only"),
        recommended=tr("1 for CPO, 0 for SimPO"), ge=0, le=100,
    )  # fmt: skip
    desirable_weight: float = _field(
        1.0,
        tr("Weight of good answers"),
        tr("KTO's weight of the desirable answers"),
        recommended="1",
        gt=0,
        le=100,
    )
    undesirable_weight: float = _field(
        1.0,
        tr("Weight of bad answers"),
        tr("KTO's weight of the undesirable answers"),
        recommended="1",
        gt=0,
        le=100,
    )
    reference_model_path: str = _field(
        "",
        tr("Reference model"),
        tr(
            "The model that answers are compared with; empty is the base model with the adapter off, "
            "which needs no second model in memory"
        ),
        recommended="empty",
        kind="path",
    )
    judge: str = _field(
        "",
        tr("Judge"),
        tr("The model that says which of two sampled answers is better; empty: the one with the higher reward is"),
        recommended=tr("empty, or a model larger than the one that is trained"),
        kind="path",
    )
    judge_config: JudgeConfig = _field(JudgeConfig, tr("Judge settings"))
    group_size: int = _field(
        4, tr("Group size"), tr("Answers sampled to each prompt and compared with one another"), unit=tr("answers"),
        higher=tr("steadier advantages, more time and memory"), lower=tr("faster, noisier"), recommended="8",
        ge=2, le=16,
    )  # fmt: skip
    temperature: float = _field(
        0.8,
        tr("Temperature"),
        tr("Randomness of the sampled answers"),
        higher=tr("more different answers, more nonsense"),
        lower=tr("answers alike, with nothing to choose between"),
        recommended="1",
        ge=0.1,
        le=2,
    )
    max_completion_length: int = _field(
        512,
        tr("Longest answer"),
        tr("Tokens after which a sampled answer is cut"),
        unit=tr("tokens"),
        higher=tr("long answers end by themselves; more time and memory"),
        lower=tr("faster, but cut answers earn little"),
        recommended=tr("twice the length of a good answer"),
        ge=16,
        le=4096,
    )
    updates_per_generation: int = _field(
        1,
        tr("Updates a generation"),
        tr("Iterations on the same sampled answers before new ones are sampled"),
        unit=tr("iterations"),
        higher=tr("learns more from each answer; the ratio to the old weights is clipped"),
        recommended=tr("1; 2 to 4 where sampling is slow"),
        ge=1,
        le=8,
    )
    grpo_loss_type: GroupLossType = _field(
        "grpo",
        tr("Averaging"),
        tr("How the tokens of the sampled answers are averaged"),
        choices={
            "grpo": tr("By answer (GRPO)"), "bnpo": tr("By token of the batch (BNPO)"),
            "dr_grpo": tr("By the longest answer (Dr. GRPO)"), "dapo": tr("By token of the step (DAPO)"),
        },
    )  # fmt: skip
    importance_sampling_level: Literal["token", "sequence"] = _field(
        "token",
        tr("Importance ratio"),
        tr("Whether each token or the whole answer is compared with the weights that sampled it"),
        recommended=tr("token; sequence is GSPO"),
        choices={"token": tr("Of each token"), "sequence": tr("Of the whole answer (GSPO)")},
    )
    epsilon: float | None = _field(
        None,
        tr("Clip range"),
        tr("How far the ratio to the old weights may fall below 1; empty is the method's own"),
        higher=tr("larger steps from the same answers"),
        lower=tr("more is clipped"),
        recommended=tr("0.2; 3e-4 for GSPO"),
        gt=0,
        lt=1,
    )
    epsilon_high: float | None = _field(
        None,
        tr("Clip range above"),
        tr("How far the ratio may rise above 1; empty is the method's own, or the clip range where that is given"),
        higher=tr("unlikely tokens can become likely sooner"),
        recommended=tr("0.2; 0.28 for DAPO, 4e-4 for GSPO"),
        gt=0,
        le=10,
    )
    reward_functions: tuple[str, ...] = _field(
        ("contains_answer",),
        tr("Rewards"),
        tr("The functions that score the sampled answers; their scores are added up"),
    )
    reward_weights: tuple[float, ...] = _field(
        (), tr("Reward weights"), tr("The factor of each reward function; empty is 1 for all")
    )
    reward_functions_file: str = _field(
        "",
        tr("Reward file"),
        tr("A Python file with reward functions of your own. It is code: it runs only after your word"),
        kind="path",
    )
    reward_timeout_s: float = _field(
        30.0,
        tr("Time for rewards"),
        tr("After this long the reward file has failed"),
        unit="s",
        recommended="30",
        gt=0,
        le=3600,
    )
    select_by: Literal["loss", "accuracy", "margin"] = _field(
        "loss",
        tr("Best by"),
        tr(
            "The figure on the validation data that tells which weights are best; with rewards it is "
            "always the reward"
        ),
        recommended="loss",
        choices={"loss": tr("Loss"), "accuracy": tr("Accuracy of the preference"), "margin": tr("Margin")},
    )

    config_version: int = CONFIG_VERSION

    # ---------------------------------------------------------------------------------------------------------

    def optimizer_arguments(self) -> dict[str, Any]:
        """What mlx's class of the optimizer is given beside the rate: settings, and the correction of its bias."""
        corrected = {"bias_correction": True} if self.optimizer in WITH_CORRECTION and self.bias_correction else {}
        return corrected | self.optimizer_config.get(self.optimizer, {})

    @property
    def has_own_steps(self) -> bool:
        """Whether the optimizer works out by itself how far it goes: then neither rate nor schedule counts."""
        return self.optimizer == "adafactor" and bool(self.optimizer_arguments().get("relative_step", True))

    @property
    def has_own_rates(self) -> bool:
        """Whether the file's ``lr_schedule`` says the learning rate: then its own field counts for nothing."""
        return self.schedule == "custom" and bool(self.lr_schedule)

    @property
    def highest_rate(self) -> float:
        """The highest learning rate of the run; of a schedule that cannot be read, what the field says."""
        given = (self.lr_schedule or {}).get("arguments") if self.has_own_rates else None
        if not isinstance(given, list):
            return self.learning_rate
        # mlx's schedules begin with their first argument; the linear one can rise to its second.
        ends = given[: 2 if (self.lr_schedule or {}).get("name") == "linear_schedule" else 1]
        rates = [float(rate) for rate in ends if isinstance(rate, int | float) and rate > 0]
        return max(rates, default=self.learning_rate)

    def value(self, path: str) -> Any:
        """The value at a dotted path; raises `KeyError` for a path that names no field."""
        part: Any = self
        for name in path.split("."):
            if not isinstance(part, BaseModel) or name not in type(part).model_fields:
                raise KeyError(path)
            part = getattr(part, name)
        return part

    def with_value(self, path: str, value: Any) -> Self:
        """A new config with one value replaced; raises `pydantic.ValidationError` if out of its range."""
        return self.with_values({path: value})

    def with_values(self, values: dict[str, Any]) -> Self:
        """A new config with several values replaced at once, all or none.

        An Adafactor that is chosen goes by the learning rate, unless the config has settings for it.
        """
        tree = self.model_dump()
        if values.get("optimizer", self.optimizer) != self.optimizer and "optimizer_config" not in values:
            values = values | {"optimizer_config": self._settings_for(values["optimizer"])}
        for path, value in values.items():
            self.value(path)
            *parents, last = path.split(".")
            branch = tree
            for name in parents:
                branch = branch[name]
            branch[last] = value
        return type(self).model_validate(tree)

    def _settings_for(self, optimizer: Any) -> dict[str, dict[str, Any]]:
        """The optimizers' settings once this one is chosen, without what was there for the one before alone."""
        name, by_rate = "adafactor", ADAFACTOR_BY_RATE
        if optimizer == name:
            return {name: dict(by_rate)} | self.optimizer_config
        return {one: its for one, its in self.optimizer_config.items() if (one, its) != (name, by_rate)}

    @property
    def unknown_keys(self) -> dict[str, Any]:
        """Keys of the file that are not Luthier's: kept, shown, written back."""
        found = dict(self.model_extra or {})
        for name in ("lora_parameters", "early_stopping", "judge_config"):
            part: BaseModel = getattr(self, name)
            found |= {f"{name}.{key}": value for key, value in (part.model_extra or {}).items()}
        return found

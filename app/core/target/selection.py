"""Targets resolved: from a preset, patterns or keys to the modules that are adapted, counted exactly.

Nothing here needs MLX: an inspection holds all shapes, and every edit is arithmetic on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.model.inspection import Inspection, Module
from app.core.model.module_group import GROUP_LABELS, Group, name_rank
from app.core.problem import Problem, Severity
from app.core.target.key import adapted_by, default_keys, keys_for, top_layers
from app.core.target.pattern import PatternMatch, available_names, match_pattern, split_patterns
from app.core.target.preset import PRESETS, choose_preset

KEYS = "keys"
_ADAPTER_ITEM_BYTES = 4  # mlx-lm keeps adapters in float32


@dataclass(frozen=True, slots=True)
class Selection:
    """What a config trains of a model.

    ``keys`` and ``num_layers`` make stock mlx-lm adapt exactly ``modules`` (no keys when ``kind`` is "full").
    ``trainable_percent`` is of the base model's parameters; ``adapter_bytes`` is the size of adapters.safetensors.
    ``matches`` has one entry a pattern, ``unmatched`` the patterns or keys that name nothing.
    """

    kind: str
    modules: tuple[Module, ...]
    keys: tuple[str, ...]
    num_layers: int
    trainable_parameters: int
    total_parameters: int
    adapter_bytes: int
    matches: tuple[PatternMatch, ...] = ()
    unmatched: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def adapted_modules(self) -> int:
        """How many modules are adapted (for full training: changed)."""
        return len(self.modules)

    @property
    def trainable_percent(self) -> float:
        """Trainable parameters in percent of the base model's."""
        return 100 * self.trainable_parameters / self.total_parameters if self.total_parameters else 0.0

    @property
    def paths(self) -> frozenset[str]:
        """The full paths of the modules."""
        return frozenset(module.path for module in self.modules)

    @property
    def matrices(self) -> tuple[str, ...]:
        """The distinct keys of the modules in the order in which people name them, whatever the model's own is."""
        groups, order = {module.key: module.group for module in self.modules}, list(Group)
        return tuple(sorted(groups, key=lambda key: (order.index(groups[key]), name_rank(key))))

    @property
    def names(self) -> tuple[str, ...]:
        """The short names of the matrices, each once: what PEFT calls target modules."""
        return tuple(dict.fromkeys(key.rsplit(".", 1)[-1] for key in self.matrices))

    @property
    def names_line(self) -> str:
        """The same as one line of a log."""
        return tr("[LoRA] Target modules: {names}", names=list(self.names))


@dataclass(frozen=True, slots=True)
class Targets:
    """A choice of modules written as config values: ``targets`` and ``num_layers``."""

    text: str
    num_layers: int


@dataclass(frozen=True, slots=True)
class _Found:
    """What targets name, before what the adapter type refuses is taken out."""

    modules: tuple[Module, ...]
    matches: tuple[PatternMatch, ...] = ()
    unmatched: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def resolve(inspection: Inspection, config: TrainConfig) -> Selection:
    """What this config trains of this model. Never raises: what is wrong is in ``problems`` (path "targets")."""
    if config.fine_tune_type == "full":
        return _full_training(inspection, config)
    text = config.targets.strip()
    if text == KEYS:
        return _by_keys(inspection, config)
    found = _by_preset(inspection, config, text) if text in PRESETS else _by_patterns(inspection, config, text)
    kept, refusals = _without_refused(inspection, found.modules, config.fine_tune_type)
    keys = keys_for(inspection, (module.path for module in kept), config.num_layers)
    problems = [*found.problems, *refusals]
    if not kept:
        problems = [*(p for p in problems if p.severity is not Severity.ERROR), _nothing(inspection, found, text)]
    return _selection(
        inspection, config, kept, keys.keys, keys.num_layers, found.matches, found.unmatched, tuple(problems)
    )


def trainable_parameters(inspection: Inspection, modules: Iterable[Module], kind: str, rank: int) -> int:
    """Parameters of ``lora`` or ``dora`` adapters of a rank on some modules."""
    counts: dict[int, int] = {}
    for module in modules:
        counts[module.cost] = counts.get(module.cost, 0) + 1
    return sum(
        inspection.costs[cost].of(kind).parameters(rank) * count for cost, count in counts.items() if cost >= 0
    )


def selection_to_targets(inspection: Inspection, chosen: Iterable[str]) -> Targets:
    """The shortest ``targets`` (and ``num_layers``) that mean exactly the modules with these paths.

    A preset's name if one fits, else short names for matrices chosen in just the top layers and full paths for the
    rest. ``resolve`` with the result gives ``chosen`` back. Nothing chosen gives an empty text, which a config
    refuses.
    """
    paths = {path for path in chosen if path in inspection.by_path}
    keys = keys_for(inspection, paths)
    bottom = inspection.num_layers - top_layers(inspection, keys.num_layers)
    for name in PRESETS:
        if paths and {m.path for m in choose_preset(inspection, name).modules if _covered(m, bottom)} == paths:
            return Targets(name, keys.num_layers)
    return Targets(", ".join(_short(inspection, key) for key in keys.keys), keys.num_layers)


def _short(inspection: Inspection, key: str) -> str:
    """The last name of a key if that alone means the same."""
    name = key.rsplit(".", 1)[-1]
    if key not in inspection.by_key or name == key:
        return key
    same = tuple(module for module in inspection.by_key[key] if module.adaptable)
    return name if name not in PRESETS and match_pattern(inspection, name).modules == same else key


def _covered(module: Module, bottom: int) -> bool:
    """Whether layer coverage includes a module; it does not concern those outside the layers."""
    return module.layer is None or module.layer >= bottom


def _by_preset(inspection: Inspection, config: TrainConfig, name: str) -> _Found:
    choice = choose_preset(inspection, name)
    bottom = inspection.num_layers - top_layers(inspection, config.num_layers)
    notes = (Problem("targets", choice.note, Severity.NOTE),) if choice.note else ()
    return _Found(tuple(m for m in choice.modules if _covered(m, bottom)), problems=notes)


def _by_patterns(inspection: Inspection, config: TrainConfig, text: str) -> _Found:
    matches = tuple(match_pattern(inspection, pattern) for pattern in split_patterns(text))
    bottom = inspection.num_layers - top_layers(inspection, config.num_layers)
    chosen: dict[str, None] = {}
    for match in matches:
        # A full path means that one module, whatever the coverage; so does mlx-lm read it.
        explicit = match.how == "path"
        chosen |= {m.path: None for m in match.modules if explicit or _covered(m, bottom)}
    modules = tuple(module for module in inspection.adaptable if module.path in chosen)
    unmatched = tuple(match.pattern for match in matches if not match.modules and not match.refused)
    problems = tuple(problem for match in matches if (problem := _pattern_problem(match)) is not None)
    return _Found(modules, matches, unmatched, problems)


def _pattern_problem(match: PatternMatch) -> Problem | None:
    if match.how == "everything" and match.modules:
        count = len({module.key for module in match.modules})
        said = tr(
            "The empty pattern '' matches everything: all {count} matrices that can be adapted, embeddings too.",
            count=count,
        )
        hint = tr("This is not recommended: they are too many. Choose 'full', or name the matrices.")
        return Problem("targets", said, Severity.WARNING, hint)
    if not match.modules and not match.refused:
        hint = (
            tr("Did you mean {near}?", near=tr(" or ").join(match.near))
            if match.near
            else tr("Look at the list of modules.")
        )
        return Problem(
            "targets", tr("{pattern!r} matches no module of this model.", pattern=match.pattern), hint=hint
        )
    if match.refused:
        first = match.refused[0]
        more = tr(" and {refused} more like it", refused=len(match.refused) - 1) if len(match.refused) > 1 else ""
        if not match.modules:
            said = tr(
                "{pattern!r} names {path}{more}, which cannot be adapted.",
                pattern=match.pattern,
                path=first.path,
                more=more,
            )
            return Problem("targets", said, hint=first.refused)
        names = ", ".join(dict.fromkeys(module.name for module in match.modules))
        said = tr(
            "{pattern!r}: only {names} can be adapted, {path}{more} cannot.",
            pattern=match.pattern,
            names=names,
            path=first.path,
            more=more,
        )
        return Problem("targets", said, Severity.NOTE, first.refused)
    if match.how == "other_case":
        said = tr(
            "{pattern!r} matches only if upper and lower case do not count: {path}.",
            pattern=match.pattern,
            path=match.modules[0].path,
        )
        return Problem("targets", said, Severity.NOTE)
    return None


def _without_refused(
    inspection: Inspection, modules: tuple[Module, ...], kind: str
) -> tuple[tuple[Module, ...], tuple[Problem, ...]]:
    """Leaves out what this adapter type cannot do, and says so once for each reason."""
    kept = tuple(module for module in modules if not inspection.size(module, kind).refused)
    reasons: dict[str, list[Module]] = {}
    for module in modules:
        if reason := inspection.size(module, kind).refused:
            reasons.setdefault(reason, []).append(module)
    problems = tuple(
        Problem(
            "fine_tune_type",
            tr(
                "{left} modules stay as they are ({names}): {reason}",
                left=len(left),
                names=", ".join(dict.fromkeys(m.name for m in left)),
                reason=reason,
            ),
            Severity.WARNING,
            tr("LoRA adapts them."),
        )
        for reason, left in reasons.items()
    )
    return kept, problems


def _nothing(inspection: Inspection, found: _Found, text: str) -> Problem:
    """The error of an empty result: it lists what there is."""
    is_bare = not inspection.rows and inspection.source == "mlx-lm"  # of others the headers alone are known
    if is_bare and (reasons := dict.fromkeys(m.refused for m in inspection.refused if not m.bare)):
        said = tr("No matrix in the layers of this model can be adapted: {reasons}", reasons=" ".join(reasons))
        return Problem(
            "targets", said, hint=tr("Choose another model; of some there are versions that are not packed.")
        )
    what = tr("Targets {text!r} match nothing that could be trained in this model", text=text)
    if found.modules:
        what = tr("Nothing that targets {text!r} match can take this type of adapter", text=text)
    near = dict.fromkeys(name for match in found.matches for name in match.near)
    hint = tr("Did you mean {near}? ", near=tr(" or ").join(near)) if near else ""
    listed = available_names(inspection)
    there = (
        tr("There is: {listed}.", listed=listed) if listed else tr("There is nothing in it that mlx-lm can adapt.")
    )
    return Problem("targets", f"{what}.", hint=f"{hint}{there}")


def _by_keys(inspection: Inspection, config: TrainConfig) -> Selection:
    """Exactly what stock mlx-lm does with ``lora_parameters.keys``, its errors included."""
    given = config.lora_parameters.keys
    keys = default_keys(inspection) if given is None else given
    adapted = adapted_by(inspection, keys, config.num_layers)
    path = "lora_parameters.keys"
    problems = [
        Problem(
            path,
            tr("The key {key!r} matches no module; mlx-lm passes over it silently.", key=key),
            Severity.WARNING,
            next((module.refused for module in inspection.named(key)), ""),
        )
        for key in adapted.unmatched
    ]
    problems += [
        Problem(path, tr("mlx-lm stops at the key {key!r}: it names something that cannot be adapted.", key=key))
        for key in adapted.refused
    ]
    problems += [
        Problem(
            path, tr("{name} is named twice, by its key and by its full path; mlx-lm stops at that.", name=name)
        )
        for name in adapted.twice
    ]
    refused = {inspection.size(m, config.fine_tune_type).refused: m for m in adapted.modules}
    problems += [
        Problem("fine_tune_type", f"{module.path}: {why}", hint=tr("Use LoRA, or leave its key out."))
        for why, module in refused.items()
        if why
    ]
    if not adapted.modules:
        said = tr("The keys match no module of this model: nothing would be trained.")
        problems.append(
            Problem(
                "targets",
                said,
                hint=tr("There is: {available_names}.", available_names=available_names(inspection)),
            )
        )
    depth = top_layers(inspection, config.num_layers)
    layers = -1 if depth == inspection.num_layers else depth
    return _selection(
        inspection, config, adapted.modules, tuple(keys), layers, (), adapted.unmatched, tuple(problems)
    )


def _selection(
    inspection: Inspection,
    config: TrainConfig,
    modules: tuple[Module, ...],
    keys: tuple[str, ...],
    num_layers: int,
    matches: tuple[PatternMatch, ...],
    unmatched: tuple[str, ...],
    problems: tuple[Problem, ...],
) -> Selection:
    kind = config.fine_tune_type
    count = trainable_parameters(inspection, modules, kind, config.lora_parameters.rank)
    return Selection(
        kind=kind,
        modules=modules,
        keys=keys,
        num_layers=num_layers,
        trainable_parameters=count,
        total_parameters=inspection.total_parameters,
        adapter_bytes=count * _ADAPTER_ITEM_BYTES + _header_bytes(modules, 3 if kind == "dora" else 2),
        matches=matches,
        unmatched=unmatched,
        problems=problems,
    )


def _header_bytes(modules: Iterable[Module], tensors: int) -> int:
    """The safetensors header: about 70 bytes beside the path of each tensor."""
    return sum(tensors * (len(module.path) + 77) for module in modules)


def _full_training(inspection: Inspection, config: TrainConfig) -> Selection:
    depth = top_layers(inspection, config.num_layers)
    layers = inspection.layers[inspection.num_layers - depth :]
    bottom = inspection.num_layers - depth
    modules = tuple(m for m in inspection.modules if m.layer is not None and m.layer >= bottom)
    return Selection(
        kind="full",
        modules=modules,
        keys=(),
        num_layers=-1 if depth == inspection.num_layers else depth,
        trainable_parameters=sum(layer.unfrozen_parameters for layer in layers),
        total_parameters=inspection.total_parameters,
        adapter_bytes=sum(layer.unfrozen_bytes for layer in layers),
    )


@dataclass(frozen=True, slots=True)
class GroupCount:
    """A group's check box: how many of its modules the coverage includes, and what adapters on them cost.

    ``parameters`` are those of the selected ones, or of all while none is selected.
    """

    group: Group
    label: str
    modules: tuple[Module, ...]
    parameters: int
    selected: int

    @property
    def count(self) -> int:
        """How many modules there are."""
        return len(self.modules)


def group_counts(inspection: Inspection, config: TrainConfig, selection: Selection) -> tuple[GroupCount, ...]:
    """One entry for each group that the model has: its covered modules, how many are selected, their parameters.

    ``parameters`` is 0 for full training, which knows no groups.
    """
    bottom = inspection.num_layers - top_layers(inspection, config.num_layers)
    rank, kind = config.lora_parameters.rank, config.fine_tune_type
    chosen = selection.paths
    found = []
    for group, modules in inspection.groups.items():
        covered = tuple(m for m in modules if _covered(m, bottom))
        selected = tuple(m for m in covered if m.path in chosen)
        size = 0 if kind == "full" else trainable_parameters(inspection, selected or covered, kind, rank)
        found.append(GroupCount(group, GROUP_LABELS[group], covered, size, len(selected)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class PresetCost:
    """What a preset is, and what it costs for this model at the config's rank, type and coverage."""

    name: str
    label: str
    help: str
    selection: Selection


def preset_costs(
    inspection: Inspection, config: TrainConfig, memory_text: Callable[[Selection], str] | None = None
) -> tuple[PresetCost, ...]:
    """Every preset with its help: what it is, when to use it, what it costs. ``memory_text`` may add the memory."""
    found = []
    for preset in PRESETS.values():
        selection = resolve(inspection, config.with_value("targets", preset.name))
        cost = tr(
            "Here: {adapted_modules:,} modules, {trainable_parameters:,} parameters "
            "({trainable_percent:.2f}\u00a0%), {adapter_bytes:,.1f}\u00a0MB on disk",
            adapted_modules=selection.adapted_modules,
            trainable_parameters=selection.trainable_parameters,
            trainable_percent=selection.trainable_percent,
            adapter_bytes=selection.adapter_bytes / 1000000.0,
        )
        cost += f", {memory_text(selection)}." if memory_text else "."
        found.append(PresetCost(preset.name, preset.label, f"{preset.what} {preset.when} {cost}", selection))
    return tuple(found)

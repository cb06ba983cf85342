"""The ways to merge adapters: what each asks for."""

from app.core.export.merge import MERGE_METHODS


def test_what_drops_changes_has_a_density_and_what_draws_them_a_seed() -> None:
    assert {name: (one.prunes, one.draws) for name, one in MERGE_METHODS.items()} == {
        "linear": (False, False),
        "ties": (True, False),
        "dare_linear": (True, True),
        "dare_ties": (True, True),
    }
